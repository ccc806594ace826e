"""Kept staging: one run at a time has it, with exactly the rows that were claimed, of the same input."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import pytest
from publishing import AB, T
from server_folder import PATIENCE, server_folder, serving
from stages import attempt, lines, stuck_copy, tables

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.listing import give_up
from jobs.dbaccess.load.kept.notes import DAY, Note, read_note, until
from jobs.dbaccess.load.kept.take_over import Kept, take_over
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from servermgr.postgres import Manager

STREAM = "a load"
INPUT = {"the files": "1", "the query": "2"}
OF_LOAD = '100 % of "it\'s" Zoë\\n'


def note_of(session: Session, inputs: Mapping[str, str] = INPUT) -> Note:
    return Note(OF_LOAD, str(T), 3, until(session, DAY), inputs)


def names_of(note: Note) -> Staging:
    return replace(staging.plan_staging(T, AB, STREAM), note=note.text)


@pytest.fixture
def earlier(session: Session, database: Settings) -> Staging:
    """What a driver that was killed has left: two parts, one of which two attempts have claimed; a third has failed."""
    session.run("CREATE TABLE t (a int, b text)")
    names = names_of(note_of(session))
    with connect(database, "a driver") as driver:
        staging.create(driver, names, T)
        attempt(driver, names, 0, 100, 1, 2)
        attempt(driver, names, 2, 101, 3, 4, 5)
        attempt(driver, names, 2, 102, 3, 4, 5)
        assert parts.begin_attempt(driver, names, 1, 103)
        parts.record_failure(driver, names, 1, 103, "a row is refused")
    return names


def rerun(session: Session, inputs: Mapping[str, str] = INPUT) -> tuple[Staging, Kept]:
    names = names_of(note_of(session, inputs))
    return names, take_over(session, names, T, STREAM, note_of(session, inputs))


def test_a_rerun_copies_the_missing_part_and_publishes_each_row_once(session: Session, earlier: Staging) -> None:
    names, kept = rerun(session)
    assert [(receipt.part, receipt.attempt, receipt.rows) for receipt in kept.receipts] == [(0, 100, 2), (2, 101, 3)]
    assert (kept.size.parts, kept.size.rows, kept.size.bytes) == (2, 5, 20)
    receipts = (*kept.receipts, attempt(session, names, 1, 103, 6))  # Spark counts attempts from 0 in each run
    published = publish(session, PublishPlan("x", T, names, receipts, Move("append", AB), is_new=False))
    assert (published.inserted, published.staged.discarded) == (6, 1)
    assert session.run("SELECT a FROM t ORDER BY a") == [[a] for a in range(1, 7)]
    assert tables(session) == ["t", "table_updates"]
    assert earlier.note.startswith(leftovers.KEPT)


def test_a_task_or_driver_of_an_earlier_run_finds_no_staging_any_more(
    session: Session, database: Settings, earlier: Staging
) -> None:
    """One of its tasks hangs in a COPY, one wakes up later, and so does the driver itself."""
    with connect(database, "later") as stale:
        assert parts.begin_attempt(stale, earlier, 1, 104) is False  # a part has failed
        session.run(f"UPDATE {earlier.parts.quoted} SET failure = NULL WHERE failure IS NOT NULL")
        assert parts.begin_attempt(stale, earlier, 1, 104)
        with stuck_copy(database, earlier, 1, 105) as raised:
            names, _ = rerun(session)
        assert len(raised) == 1
        with pytest.raises(DatabaseError, match="does not exist"):
            parts.copy_part(stale, earlier, 1, 104, lines(9))
        receipts = (Receipt(0, 100), Receipt(1, 104), Receipt(2, 101))
        with pytest.raises(DatabaseError, match="does not exist"):
            publish(stale, PublishPlan("x", T, earlier, receipts, Move("append", AB), is_new=False))
        staging.discard(stale, earlier)
    assert session.run(f"SELECT count(*) FROM {names.rows.quoted}") == [[8]]


@pytest.mark.parametrize(
    ("damage", "kept"),
    [
        ("DELETE FROM {rows} WHERE a = 1", 0),
        ("TRUNCATE {rows}", 0),
        ("TRUNCATE {rows}, {parts}", 0),  # as a crash does
        ("UPDATE {rows} SET a = 9 WHERE a = 1", 0),
        ("INSERT INTO {rows} VALUES (1, 'x')", 0),
        ("WITH gone AS (DELETE FROM {rows} WHERE a = 1 RETURNING *) INSERT INTO {rows} SELECT * FROM gone", 0),
        ("ALTER TABLE {rows} ALTER a TYPE bigint", 0),
        ("ALTER TABLE {rows} DROP COLUMN b", 0),
        ("DROP TABLE {rows}", 0),
        ("VACUUM FREEZE {rows}, {parts}", 2),
    ],
)
def test_staging_is_used_only_if_the_rows_are_exactly_those_of_its_claims(
    session: Session, earlier: Staging, damage: str, kept: int
) -> None:
    session.run(damage.format(rows=earlier.rows.quoted, parts=earlier.parts.quoted))
    assert len(rerun(session)[1].receipts) == kept
    assert len(tables(session)) == (4 if kept else 2)


@pytest.mark.parametrize(
    ("inputs", "named"),
    [
        ({"the files": "0", "the query": "2"}, "is the files"),
        ({"the files": "1", "the query": "2", "the table": "3"}, "is the table"),
        ({"the files": "1"}, "is the query"),
    ],
)
def test_another_input_is_refused_and_what_is_kept_stays(
    session: Session, earlier: Staging, inputs: Mapping[str, str], named: str
) -> None:
    with pytest.raises(UsageError, match=f"what differs {named}") as refused:
        rerun(session, inputs)
    assert "pgjobs ledger drop-kept" in refused.value.hint
    assert staging.exists(session, earlier)
    other = names_of(note_of(session))
    with pytest.raises(UsageError, match=r"is the table \(public\.t\)"):
        take_over(session, other, T, STREAM, replace(note_of(session), target="public.u"))


def test_what_another_role_has_kept_is_refused_and_a_run_that_keeps_nothing_goes_on(
    session: Session, database: Settings, earlier: Staging, caplog: pytest.LogCaptureFixture
) -> None:
    """Also by a superuser: whoever may create tables in the schema could put rows into one."""
    role = f"keeper_{database.dbname}"
    session.run(f"CREATE ROLE {role}; GRANT ALL ON SCHEMA public TO {role}")
    try:
        session.run(f"ALTER TABLE {earlier.rows.quoted} OWNER TO {role}")
        with pytest.raises(UsageError, match=f"belongs to the role {role}"):
            rerun(session)
        session.run(f"ALTER TABLE {earlier.rows.quoted} OWNER TO current_user; SET ROLE {role}")
        give_up(session, T, STREAM, "")
        assert "could not be dropped: " in caplog.text
    finally:
        session.run(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")
    give_up(session, T, STREAM, "")
    assert tables(session) == ["t", "table_updates"]


def test_what_is_kept_is_swept_when_its_time_is_over(session: Session, earlier: Staging) -> None:
    assert leftovers.sweep(session) == []
    over = replace(earlier, note=replace(note_of(session), until=until(session, -1.0)).text)
    staging.annotate(session, over)
    assert leftovers.sweep(session) == sorted([earlier.rows.name, earlier.parts.name])


@pytest.mark.parametrize(
    "change",
    [lambda text: text[:-3], lambda text: text.replace('"parts": 3', '"parts": "x"'), lambda text: "mine: " + text],
)
def test_a_note_that_somebody_has_edited_is_none(session: Session, change: Callable[[str], str]) -> None:
    note = note_of(session)
    assert read_note(note.text) == note
    assert read_note(change(note.text)) is None
    assert read_note(note.text.replace(str(note.until), "9" * 12)) is None  # a year that Python does not have


def test_a_table_that_the_load_makes_has_no_note(session: Session) -> None:
    names = names_of(note_of(session))
    staging.create(session, names, T, ("int", "text"), logged=True)
    plan = PublishPlan("x", T, names, (attempt(session, names, 0, 1, 1),), Move("append", AB), is_new=True)
    publish(session, plan)
    assert session.run("SELECT obj_description(to_regclass('t'), 'pg_class')") == [[None]]


@contextmanager
def crashing() -> Iterator[tuple[Settings, Callable[[], None]]]:
    """A server of its own, and a function that crashes it as `pg_ctl stop -m immediate` does, and starts it again."""
    with (
        server_folder() as folder,
        serving(Manager("127.0.0.1", 0, folder / "data", initialize=True, settings={"fsync": "off"})) as manager,
    ):

        def crash() -> None:
            assert manager.process is not None
            manager.process.send_signal(signal.SIGQUIT)
            manager.wait()
            manager.start(timeout=PATIENCE)

        yield resolve(Given(url=manager.url()), {}).settings, crash


def test_a_crash_of_the_server_empties_what_is_kept_or_none_of_it() -> None:
    """Staging that is to become a table is logged, and stays."""
    with crashing() as (settings, crash):
        with connect(settings, "a driver") as driver:
            driver.run("CREATE TABLE t (a int, b text)")
            for stream, types in (("into a table", ()), ("a new table", ("int", "text"))):
                names = replace(staging.plan_staging(T, AB, stream), note=note_of(driver).text)
                staging.create(driver, names, T, types, logged=bool(types))
                attempt(driver, names, 0, 100, 1, 2)
        crash()
        with connect(settings, "a rerun") as session:
            kept = []
            for stream in ("into a table", "a new table"):
                names = replace(staging.plan_staging(T, AB, stream), note=note_of(session).text)
                kept.append(take_over(session, names, T, stream, note_of(session)).size.rows)
            assert kept == [0, 2]
