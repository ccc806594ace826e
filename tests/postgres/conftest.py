"""What tests of staging and publishing share."""

from __future__ import annotations

import pytest
from stages import TARGET

from jobs.dbaccess.load import staging
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session


@pytest.fixture
def beside(session: Session) -> Staging:
    """Staging for a table that exists."""
    session.run("CREATE TABLE t (a int NOT NULL, b text, c int DEFAULT 7)")
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_beside(session, names, TARGET)
    return names
