"""Limits of a load on a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from slow_line import Line

from jobs.dbaccess.catalog import wal
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Server, Settings
from jobs.dbaccess.errors import ConnectionFailed
from jobs.dbaccess.session import Session
from jobs.flows.load.pace.governor import Governor, Limits, governors

LIMITS = Limits(wal_rate=100_000)


@contextmanager
def governor_on(line: Line, database: Settings) -> Iterator[Governor]:
    """A governor whose sessions reach the server on a line."""
    server = database.servers[0]
    with line.to((server.host, server.port)) as port:
        there = replace(database, servers=(Server(server.host, port),))
        with governors(LIMITS, Connector(there, "load", "x")) as next_governor:
            governor = next_governor()
            assert governor is not None
            yield governor


def test_what_one_phase_of_a_load_has_written_counts_in_the_next_one(database: Settings, session: Session) -> None:
    """A release of many small tables has many phases: each could begin with what five seconds allow."""
    session.run("CREATE TABLE t (word text)")
    with governors(LIMITS, Connector(database, "load", "x")) as next_governor:
        first, second = next_governor(), next_governor()
        assert first is not None
        assert second is not None
        assert first.may_start(0)
        session.run("INSERT INTO t SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        first.ended()
        assert not second.may_start(0)


def test_a_look_that_the_server_does_not_answer_is_given_up_and_repeated(
    database: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("jobs.flows.load.pace.governor.LONGEST_LOOK", 5.0)
    with governor_on(line := Line(), database) as governor:
        assert governor.may_start(0)
        line.fall_silent()
        assert governor.may_start(0)
    [message] = [record.getMessage() for record in caplog.records]
    assert "Asking the server anew how much WAL it has written" in message
    assert "has not answered for 5 s" in message


def test_a_server_that_never_answers_ends_the_load(database: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.flows.load.pace.governor.LONGEST_LOOK", 0.2)
    line, read = Line(), wal.read

    def read_in_vain(session: Session) -> wal.Wal:
        line.fall_silent()
        return read(session)

    monkeypatch.setattr(wal, "read", read_in_vain)
    with governor_on(line, database) as governor, pytest.raises(ConnectionFailed, match=r"not answered for 0\.2 s"):
        governor.may_start(0)


def test_a_session_that_was_ended_is_replaced(
    database: Settings, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    with governor_on(Line(), database) as governor:
        assert governor.may_start(0)
        session.run(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE '%governor%' "
            "AND datname = current_database()"
        )
        assert governor.may_start(0)
    assert "terminating connection" in caplog.text
