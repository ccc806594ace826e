"""Staging: what attempts leave there, and what a later load sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from publishing import AB, T
from stages import TARGET, attempt, stuck_copy, tables

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, DataRejected, LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.staging import Counted, Staging, Tally
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def test_a_part_is_copied_and_claimed_together(session: Session, beside: Staging) -> None:
    attempt(session, beside, 0, 100, 1, 2)
    assert staging.tally(session, beside) == Tally(parts=1, rows=2, bytes=8, discarded=0, failure=None)


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
        assert staging.begin_attempt(task, names, 0, 0)
        staging.copy_part(task, names, 0, 0, [Counted(line.encode(), 1)])
    assert session.run(
        "SELECT a, d::text, extract(epoch FROM i)::int, at = '2026-11-01 01:02:03.000004Z', encode(b, 'hex'), s "
        f"FROM {names.rows.quoted}"
    ) == [[[None, "x"], "2026-11-01", -93600, True, "00ff", "é"]]


def test_a_failure_is_noted_by_a_session_that_is_read_only_by_default(
    beside: Staging, session: Session, database: Settings
) -> None:
    with connect(replace(database, startup=(("default_transaction_read_only", "on"),)), "task") as task:
        assert staging.begin_attempt(task, beside, 0, 100)
        staging.record_failure(task, beside, 0, 100, "no")
    assert staging.tally(session, beside).failure == "no"


def test_an_attempt_copies_whatever_others_have_claimed(session: Session, beside: Staging, database: Settings) -> None:
    """What was claimed may be of an attempt whose input was cut short."""
    attempt(session, beside, 0, 100, 1)
    with connect(database, "first") as first, first.transaction():
        first.run(f"INSERT INTO {beside.parts.quoted} VALUES (1, 101, 1, 4)")
        attempt(session, beside, 0, 102, 1, 2)
        attempt(session, beside, 1, 103, 3)
    assert staging.tally(session, beside) == Tally(parts=2, rows=3, bytes=12, discarded=2, failure=None)
    assert session.run(f"SELECT count(*) FROM {beside.rows.quoted}") == [[4]]


def test_discarding_a_load_ends_the_attempts_that_still_run(
    session: Session, beside: Staging, database: Settings
) -> None:
    with stuck_copy(database, beside, 0, 100) as raised:
        staging.discard(session, beside)
        assert tables(session) == ["t", "table_updates"]
    assert len(raised) == 1


def test_an_attempt_that_the_server_refuses_leaves_nothing(session: Session, beside: Staging) -> None:
    staging.begin_attempt(session, beside, 0, 100)
    with pytest.raises(DataRejected):
        staging.copy_part(session, beside, 0, 100, [Counted(b"1\tx\nbad\tx\n", 2)])
    staging.record_failure(session, beside, 0, 100, "why")
    assert staging.tally(session, beside) == Tally(parts=0, rows=0, bytes=0, discarded=1, failure="why")


def test_no_attempt_begins_in_a_load_that_has_failed(session: Session, beside: Staging) -> None:
    staging.begin_attempt(session, beside, 0, 100)
    staging.record_failure(session, beside, 0, 100, "why")
    assert not staging.begin_attempt(session, beside, 1, 101)


def test_rows_that_the_server_counted_otherwise_are_refused(session: Session, beside: Staging) -> None:
    staging.begin_attempt(session, beside, 0, 100)
    with pytest.raises(LoadError, match="3 rows were sent, but the server counted 2"):
        staging.copy_part(session, beside, 0, 100, [Counted(b"1\tx\n2\tx\n", 3)])
    assert session.run(f"SELECT count(*) FROM {beside.rows.quoted}") == [[0]]


def test_the_server_tells_of_a_copy_under_way(session: Session, beside: Staging, database: Settings) -> None:
    seen: list[tuple[int, int]] = []

    def blocks() -> Iterator[Counted]:
        yield Counted(b"1\tx\n" * 50_000, 50_000)
        yield Counted(b"1\tx\n" * 50_000, 50_000)
        while not seen or seen[-1][0] < 50_000:
            seen.append(staging.under_way(session, beside))

    with connect(database, "copy") as copying:
        staging.begin_attempt(copying, beside, 0, 100)
        staging.copy_part(copying, beside, 0, 100, blocks())
    assert seen[-1][1] >= 200_000
    assert staging.under_way(session, beside) == (0, 0)


def test_a_discarded_load_leaves_no_table(session: Session, beside: Staging) -> None:
    attempt(session, beside, 0, 100, 1)
    staging.discard(session, beside)
    assert tables(session) == ["t", "table_updates"]


def test_a_part_that_takes_too_long_is_not_told_as_a_refused_row(session: Session) -> None:
    session.run("CREATE DOMAIN slow AS int CHECK (pg_sleep(1)::text IS NOT NULL)")
    session.run("CREATE TABLE t (a slow, b int)")
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_beside(session, names, TARGET)
    staging.begin_attempt(session, names, 0, 1)
    session.run("SET statement_timeout = '50ms'")
    with pytest.raises(DatabaseError) as caught:
        staging.copy_part(session, names, 0, 1, [Counted(b"1\t1\n", 1)])
    told = staging.told(caught.value)
    assert told.startswith("A part could not be copied: ")
    assert "canceling statement due to statement timeout" in told
    assert "ALTER ROLE .. SET statement_timeout" in told


def test_a_refused_cell_is_told_as_a_refused_row(session: Session, beside: Staging) -> None:
    staging.begin_attempt(session, beside, 0, 1)
    with pytest.raises(DataRejected) as caught:
        staging.copy_part(session, beside, 0, 1, [Counted(b"bad\tx\n", 1)])
    assert staging.told(caught.value).startswith('The server refused a row: column "a": invalid input syntax')


def test_leftovers_of_a_dead_driver_are_swept_and_those_of_a_live_one_are_not(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    dead, alive = staging.plan_staging(T, AB), staging.plan_staging(T, AB)
    with connect(database, "dead") as driver:
        staging.hold(driver, dead)
        staging.create_beside(driver, dead, T)
    with connect(database, "alive") as driver:
        staging.hold(driver, alive)
        staging.create_beside(driver, alive, T)
        wait_for_end_of(session, "dead")
        assert staging.sweep(session) == sorted([dead.parts.name, dead.rows.name])
        tables = [name for [name] in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert set(tables) == {"t", "table_updates", alive.rows.name, alive.parts.name}


def wait_for_end_of(session: Session, name: str) -> None:
    """Until the server has seen the end of the session of that name."""
    while session.run("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", name):
        pass


def test_leftovers_that_cannot_be_dropped_are_told_and_end_no_load(
    session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A view is on one, and the schema of another is closed to its owner by now."""
    session.run("CREATE TABLE t (a int)")
    session.run("CREATE SCHEMA closed")
    session.run("CREATE TABLE closed.t (a int)")
    viewed = staging.plan_staging(T, ["a"])
    hidden = staging.plan_staging(TableName("t", "closed"), ["a"])
    for names, target in ((viewed, T), (hidden, TableName("t", "closed"))):
        staging.create_beside(session, names, target)
    session.run(f"CREATE VIEW v AS SELECT * FROM {viewed.rows.quoted}")
    role = f"sweeper_{database.dbname}"
    session.run(f"CREATE ROLE {role}")
    try:
        for names in (viewed, hidden):
            for table in (names.rows, names.parts):
                session.run(f"ALTER TABLE {table.quoted} OWNER TO {role}")
        session.run(f"SET ROLE {role}")
        assert staging.sweep(session) == [viewed.parts.name]
    finally:
        session.run("RESET ROLE")
        session.run(f"DROP OWNED BY {role} CASCADE")
        session.run(f"DROP ROLE {role}")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert all("left behind by a load, cannot be dropped" in message for message in told)


def test_leftovers_into_which_a_task_still_copies_are_left_to_the_next_sweep(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    dead = staging.plan_staging(T, AB)
    staging.create_beside(session, dead, T)
    with connect(database, "task") as task:
        task.run("BEGIN")
        task.run(f"INSERT INTO {dead.rows.quoted} VALUES (1, 'x')")
        assert staging.sweep(session) == [dead.parts.name]
        task.run("ROLLBACK")
    assert staging.sweep(session) == [dead.rows.name]


def test_a_streams_leftovers_are_told_from_others(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    target = TableName("t", "public")
    ours, theirs = (staging.plan_staging(target, ["a"], stream) for stream in ("ours", "theirs"))
    for names in (ours, theirs):
        staging.create_beside(session, names, target)
    assert [left.parts for left in staging.left_by_stream(session, target, "ours")] == [ours.parts]
