"""Parts: what an attempt copies and claims in staging, or notes as the reason why it cannot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from stages import TARGET, attempt

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, DataRejected, LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted, Tally
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def test_a_part_is_copied_and_claimed_together(session: Session, beside: Staging) -> None:
    attempt(session, beside, 0, 100, 1, 2)
    assert parts.tally(session, beside) == Tally(parts=1, rows=2, bytes=8, discarded=0, failure=None)


@pytest.mark.parametrize(
    "inherited",
    [
        ("array_nulls", "off"),
        ("DateStyle", "SQL, DMY"),
        ("IntervalStyle", "sql_standard"),
        ("TimeZone", "Asia/Kathmandu"),
        ("standard_conforming_strings", "off"),
        ("client_encoding", "LATIN1"),
    ],
    ids=lambda inherited: inherited[0],
)
def test_a_line_means_the_same_whatever_a_session_inherits(
    session: Session, database: Settings, inherited: tuple[str, str]
) -> None:
    session.run("CREATE TABLE t (a text[], d date, i interval, at timestamptz, b bytea, s text)")
    names = staging.plan_staging(TARGET, ["a", "d", "i", "at", "b", "s"])
    staging.create_beside(session, names, TARGET)
    line = '{NULL,"x"}\tJ2461346\t-1 DAY -2 HOUR\tJ2461346 01:02:03.000004+00\t\\\\x00ff\té\n'
    with connect(replace(database, startup=(inherited,)), "task") as task:
        assert parts.begin_attempt(task, names, 0, 0)
        parts.copy_part(task, names, 0, 0, [Counted(line.encode(), 1)])
    assert session.run(
        "SELECT a, d::text, extract(epoch FROM i)::int, at = '2026-11-01 01:02:03.000004Z', encode(b, 'hex'), s "
        f"FROM {names.rows.quoted}"
    ) == [[[None, "x"], "2026-11-01", -93600, True, "00ff", "é"]]


def test_a_failure_is_noted_by_a_session_that_is_read_only_by_default(
    beside: Staging, session: Session, database: Settings
) -> None:
    with connect(replace(database, startup=(("default_transaction_read_only", "on"),)), "task") as task:
        assert parts.begin_attempt(task, beside, 0, 100)
        parts.record_failure(task, beside, 0, 100, "no")
    assert parts.tally(session, beside).failure == "no"


def test_an_attempt_copies_whatever_others_have_claimed(session: Session, beside: Staging, database: Settings) -> None:
    """What was claimed may be of an attempt whose input was cut short."""
    attempt(session, beside, 0, 100, 1)
    with connect(database, "first") as first, first.transaction():
        first.run(f"INSERT INTO {beside.parts.quoted} VALUES (1, 101, 1, 4)")
        attempt(session, beside, 0, 102, 1, 2)
        attempt(session, beside, 1, 103, 3)
    assert parts.tally(session, beside) == Tally(parts=2, rows=3, bytes=12, discarded=2, failure=None)
    assert session.run(f"SELECT count(*) FROM {beside.rows.quoted}") == [[4]]


def test_an_attempt_that_the_server_refuses_leaves_nothing(session: Session, beside: Staging) -> None:
    parts.begin_attempt(session, beside, 0, 100)
    with pytest.raises(DataRejected):
        parts.copy_part(session, beside, 0, 100, [Counted(b"1\tx\nbad\tx\n", 2)])
    parts.record_failure(session, beside, 0, 100, "why")
    assert parts.tally(session, beside) == Tally(parts=0, rows=0, bytes=0, discarded=1, failure="why")


def test_no_attempt_begins_in_a_load_that_has_failed(session: Session, beside: Staging) -> None:
    parts.begin_attempt(session, beside, 0, 100)
    parts.record_failure(session, beside, 0, 100, "why")
    assert not parts.begin_attempt(session, beside, 1, 101)


def test_rows_that_the_server_counted_otherwise_are_refused(session: Session, beside: Staging) -> None:
    parts.begin_attempt(session, beside, 0, 100)
    with pytest.raises(LoadError, match="3 rows were sent, but the server counted 2"):
        parts.copy_part(session, beside, 0, 100, [Counted(b"1\tx\n2\tx\n", 3)])
    assert session.run(f"SELECT count(*) FROM {beside.rows.quoted}") == [[0]]


def test_the_server_tells_of_a_copy_under_way(session: Session, beside: Staging, database: Settings) -> None:
    seen: list[tuple[int, int]] = []

    def blocks() -> Iterator[Counted]:
        yield Counted(b"1\tx\n" * 50_000, 50_000)
        yield Counted(b"1\tx\n" * 50_000, 50_000)
        while not seen or seen[-1][0] < 50_000:
            seen.append(parts.in_progress(session, beside))

    with connect(database, "copy") as copying:
        parts.begin_attempt(copying, beside, 0, 100)
        parts.copy_part(copying, beside, 0, 100, blocks())
    assert seen[-1][1] >= 200_000
    assert parts.in_progress(session, beside) == (0, 0)


def test_a_part_that_takes_too_long_is_not_told_as_a_refused_row(session: Session) -> None:
    session.run("CREATE DOMAIN slow AS int CHECK (pg_sleep(1)::text IS NOT NULL)")
    session.run("CREATE TABLE t (a slow, b int)")
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_beside(session, names, TARGET)
    parts.begin_attempt(session, names, 0, 1)
    session.run("SET statement_timeout = '50ms'")
    with pytest.raises(DatabaseError) as caught:
        parts.copy_part(session, names, 0, 1, [Counted(b"1\t1\n", 1)])
    told = parts.reason(caught.value)
    assert told.startswith("A part could not be copied: ")
    assert "canceling statement due to statement timeout" in told
    assert "ALTER ROLE .. SET statement_timeout" in told


def test_a_refused_cell_is_told_as_a_refused_row(session: Session, beside: Staging) -> None:
    parts.begin_attempt(session, beside, 0, 1)
    with pytest.raises(DataRejected) as caught:
        parts.copy_part(session, beside, 0, 1, [Counted(b"bad\tx\n", 1)])
    assert parts.reason(caught.value).startswith('The server refused a row: column "a": invalid input syntax')
