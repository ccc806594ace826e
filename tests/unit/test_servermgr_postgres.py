"""What Manager takes from the environment."""

from __future__ import annotations

import pytest

from servermgr.errors import DatabaseException
from servermgr.postgres import _env_with_postgres_path, _get_default_postgres_version


def test_default_version_is_the_environments() -> None:
    assert _get_default_postgres_version({"POSTGRES_VERSION": "9.1"}) == "9.1"


def test_environment_of_a_missing_version_is_an_error() -> None:
    with pytest.raises(DatabaseException, match=r"no PostgreSQL 7\.4"):
        _env_with_postgres_path("7.4")
