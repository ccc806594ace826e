"""Staging: what is dropped with a load."""

from __future__ import annotations

from stages import attempt, stuck_copy, tables

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session


def test_discarding_a_load_ends_the_attempts_that_still_run(
    session: Session, beside: Staging, database: Settings
) -> None:
    with stuck_copy(database, beside, 0, 100) as raised:
        staging.discard(session, beside)
        assert tables(session) == ["t", "table_updates"]
    assert len(raised) == 1


def test_a_discarded_load_leaves_no_table(session: Session, beside: Staging) -> None:
    attempt(session, beside, 0, 100, 1)
    staging.discard(session, beside)
    assert tables(session) == ["t", "table_updates"]
