"""Staging: what attempts leave there; publish: all or nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, DataRejected, LoadError, TransientError
from jobs.dbaccess.load import ledger, staging
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.load.publish import Publication, publish
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.staging import Counted, Staging, Tally
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

TARGET = TableName("t", "public")


@pytest.fixture
def beside(session: Session) -> Staging:
    """Staging for a table that exists."""
    session.run("CREATE TABLE t (a int NOT NULL, b text, c int DEFAULT 7)")
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_beside(session, names, TARGET)
    return names


def lines(*numbers: int) -> list[Counted]:
    return [Counted(f"{number}\tx\n".encode(), 1) for number in numbers]


def attempt(session: Session, names: Staging, part: int, number: int, *numbers: int) -> Receipt:
    assert staging.begin_attempt(session, names, part, number)
    staging.copy_part(session, names, part, number, lines(*numbers))
    return Receipt(part, number)


def publication(names: Staging, *receipts: Receipt, is_new: bool = False) -> Publication:
    return Publication("load-1", TARGET, names, receipts, Move("append", names.columns), is_new)


def tables(session: Session) -> list[str]:
    return [row[0] for row in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


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


@contextmanager
def stuck_copy(database: Settings, names: Staging, part: int, number: int) -> Iterator[list[TransientError]]:
    """An attempt that hangs in mid-COPY while the block runs, and then goes on; what it raised."""
    hangs, go_on = threading.Event(), threading.Event()
    raised: list[TransientError] = []

    def blocks() -> Iterator[Counted]:
        yield from lines(*range(10))
        hangs.set()
        go_on.wait(60)
        yield from lines(*range(10))

    def run() -> None:
        with connect(database, "stuck") as stuck:
            staging.begin_attempt(stuck, names, part, number)
            try:
                staging.copy_part(stuck, names, part, number, blocks())
            except TransientError as error:
                raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert hangs.wait(10)
        yield raised
    finally:
        go_on.set()
        thread.join(10)
        assert not thread.is_alive()


def test_publishing_ends_an_attempt_that_hangs_and_has_lost(
    session: Session, beside: Staging, database: Settings
) -> None:
    with stuck_copy(database, beside, 0, 100) as raised:
        accepted = attempt(session, beside, 0, 101, 1, 2)
        assert publish(session, publication(beside, accepted)).inserted == 2
    assert len(raised) == 1
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2]]
    assert tables(session) == ["t", "table_updates"]


def test_publishing_ends_nobody_else(session: Session, beside: Staging, database: Settings) -> None:
    """Writers into the target, and attempts of other loads."""
    other = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_beside(session, other, TARGET)
    accepted = attempt(session, beside, 0, 100, 1, 2)
    with connect(database, "writer") as writer, writer.transaction(), stuck_copy(database, other, 0, 101) as raised:
        writer.run("INSERT INTO t VALUES (0)")
        publish(session, publication(beside, accepted))
    assert raised == []
    assert staging.tally(session, other).rows == 20
    assert session.run("SELECT a FROM t ORDER BY a") == [[0], [1], [2]]


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


def test_publishing_appends_marks_and_clears_up(session: Session, beside: Staging) -> None:
    session.run("INSERT INTO t VALUES (0, 'old', 1)")
    accepted = [attempt(session, beside, 0, 100, 1), attempt(session, beside, 1, 101, 2, 3)]
    published = publish(session, publication(beside, *accepted))
    assert (published.staged.rows, published.inserted, published.ignored) == (3, 3, 0)
    assert session.run("SELECT a, b, c FROM t ORDER BY a") == [[0, "old", 1], [1, "x", 7], [2, "x", 7], [3, "x", 7]]
    assert ledger.recorded_target(session, "load-1") == "public.t"
    assert tables(session) == ["t", "table_updates"]


def test_publishing_with_a_part_missing_changes_nothing(session: Session, beside: Staging) -> None:
    accepted = attempt(session, beside, 0, 100, 1)
    with pytest.raises(LoadError, match=r"1 of 2 parts are staged, .* the server crashed"):
        publish(session, publication(beside, accepted, Receipt(1, 101)))
    assert session.run("SELECT * FROM t") == []
    assert ledger.recorded_target(session, "load-1") is None


def test_publishing_an_id_that_was_recorded_meanwhile_changes_nothing(session: Session, beside: Staging) -> None:
    accepted = attempt(session, beside, 0, 100, 1)
    ledger.record(session, "load-1", "public.t")
    with pytest.raises(LoadError, match="recorded by someone else"):
        publish(session, publication(beside, accepted))
    assert session.run("SELECT * FROM t") == []


def test_publishing_what_the_table_refuses_changes_nothing(session: Session, beside: Staging) -> None:
    session.run("ALTER TABLE t ADD CHECK (a < 2)")
    accepted = attempt(session, beside, 0, 100, 1, 2)
    with pytest.raises(Exception, match="t_a_check"):
        publish(session, publication(beside, accepted))
    assert session.run("SELECT * FROM t") == []
    assert ledger.recorded_target(session, "load-1") is None


def test_staging_that_a_crash_emptied_is_not_published(session: Session, beside: Staging) -> None:
    """A crash empties unlogged tables and keeps the claims; TRUNCATE leaves the same."""
    accepted = attempt(session, beside, 0, 100, 1, 2)
    session.run(f"TRUNCATE {beside.rows.quoted}")
    with pytest.raises(LoadError, match="2 rows were staged, but 0 are left"):
        publish(session, publication(beside, accepted))
    assert ledger.recorded_target(session, "load-1") is None


def test_a_trigger_that_keeps_rows_out_has_its_way(session: Session, beside: Staging) -> None:
    session.run(
        "CREATE FUNCTION skip_odd() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN IF NEW.a % 2 = 1 THEN RETURN NULL; END IF; RETURN NEW; END$$"
    )
    session.run("CREATE TRIGGER skip_odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION skip_odd()")
    accepted = attempt(session, beside, 0, 100, 1, 2)
    published = publish(session, publication(beside, accepted))
    assert (published.staged.rows, published.inserted, published.ignored) == (2, 1, 1)


def test_a_new_table_is_the_staged_one_renamed(session: Session) -> None:
    names = staging.plan_staging(TARGET, ["a", 'weird " name'])
    staging.create_for_new(session, names, ["integer", "text"], logged=True)
    accepted = attempt(session, names, 0, 100, 1, 2)
    assert publish(session, publication(names, accepted, is_new=True)).inserted == 2
    assert session.run('SELECT a, "weird "" name" FROM t ORDER BY a') == [[1, "x"], [2, "x"]]
    assert session.run("SELECT relpersistence::text, reloptions FROM pg_class WHERE relname = 't'") == [["p", None]]
    assert tables(session) == ["t", "table_updates"]


def test_a_new_table_that_someone_made_meanwhile_is_appended_to(session: Session) -> None:
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_for_new(session, names, ["integer", "text"], logged=True)
    accepted = attempt(session, names, 0, 100, 1)
    session.run("CREATE TABLE t (a int, b text)")
    session.run("INSERT INTO t VALUES (0, 'theirs')")
    publish(session, publication(names, accepted, is_new=True))
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[0, "theirs"], [1, "x"]]
    assert tables(session) == ["t", "table_updates"]


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
