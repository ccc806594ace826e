"""Which session is ended."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess import backends
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, TransientError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def test_a_session_that_is_not_the_former_one_is_not_ended(session: Session, database: Settings) -> None:
    """A server gives ids of processes anew, and a pooler a process to others."""
    with connect(database, "other") as other:
        for stranger in (replace(other.backend, started="1"), replace(other.backend, label="another")):
            backends.end(session, stranger)
            assert other.run("SELECT 1") == [[1]]
        backends.end(session, other.backend)
        with pytest.raises((ConnectionFailed, TransientError)):
            other.run("SELECT 1")
