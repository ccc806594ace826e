"""Limits of a load on a server."""

from __future__ import annotations

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.flows.load.pace.governor import Limits, governors


def test_what_one_phase_of_a_load_has_written_counts_in_the_next_one(database: Settings, session: Session) -> None:
    """A release of many small tables has many phases: each could begin with what five seconds allow."""
    session.run("CREATE TABLE t (word text)")
    with governors(Limits(wal_rate=100_000), Connector(database, "load", "x")) as next_governor:
        first, second = next_governor(), next_governor()
        assert first is not None
        assert second is not None
        assert first.may_start(0)
        session.run("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        first.ended()
        assert not second.may_start(0)
