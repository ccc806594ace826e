"""SQL before and after the rows are moved: part of the transaction that publishes them, which it cannot end or undo."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from faults import Cut, cuts_on_the_way_to
from publishing import AB, T, counts, load, rows_of
from submitted import until

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, JobError, UsageError
from jobs.dbaccess.load import scripts, staging, verify
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.row_text import PLAIN, TEXT, Form, Sum
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import Driver, publish_once

APPEND, OVERWRITE = Move("append", AB), Move("overwrite", AB)
NEW = [(3, "new"), (4, "new")]
OLD = [[1, "old"], [2, "old"]]


LOCKED = "SET LOCAL lock_timeout = '50ms';\nLOCK TABLE busy"


@pytest.fixture
def table(session: Session) -> Session:
    session.run("CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    return session


def test_scripts_are_run_before_and_after_the_rows_are_moved_and_told(table: Session) -> None:
    """A rolling window, and a table of totals."""
    after = "CREATE TABLE totals AS SELECT count(*) AS n FROM t; SELECT n FROM totals; ANALYZE totals"
    published = load(table, APPEND, NEW, before="DELETE FROM t WHERE a < 2; -- one\nSELECT 'x;'", after=after)
    assert counts(published) == (2, 0, 0)
    assert rows_of(table) == [[2, "old"], [3, "new"], [4, "new"]]
    assert table.run("SELECT n FROM totals") == [[3]]
    told = [(done.statement, done.line, done.rows) for done in (*published.ran.before, *published.ran.after)]
    before_told = [("DELETE FROM", 1, 1), ("SELECT", 2, 1)]
    assert told == [*before_told, ("CREATE TABLE", 1, 1), ("SELECT", 1, 1), ("ANALYZE", 1, None)]


@pytest.mark.parametrize("mode", ["append", "overwrite", "upsert", "ignore"])
def test_the_script_before_may_make_the_table(session: Session, mode: str) -> None:
    keys = ("a",) if mode in ("upsert", "ignore") else ()
    made = "CREATE TABLE t (a int PRIMARY KEY, b text, c serial)"
    assert load(session, Move(mode, AB, keys), NEW, ("integer", "text"), before=made).inserted == 2
    assert rows_of(session) == [[3, "new", 1], [4, "new", 2]]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("SELECT 1;\nSELECT 1 / 0", None, r"--before-sql, line 2, SELECT: division by zero"),
        (None, "INSERT INTO t VALUES (9, 'x'); DELETE FROM nowhere", r"--after-sql, line 1, DELETE FROM: relation"),
        ("DISCARD ALL", None, r"--before-sql, line 1, DISCARD: DISCARD ALL cannot run inside a transaction block"),
        ("DO $$BEGIN COMMIT; END$$", None, r"--before-sql, line 1, DO: invalid transaction termination"),
        (None, "DO $$BEGIN ROLLBACK; END$$", r"--after-sql, line 1, DO: invalid transaction termination"),
        ("RELEASE SAVEPOINT pgjobs_script", None, "savepoint .*does not exist"),
        (LOCKED, None, "--before-sql, line 2, LOCK: canceling statement due to lock timeout"),
        ("SAVEPOINT mine", "ROLLBACK TO mine", "--after-sql, line 1, ROLLBACK: savepoint .*does not exist"),
        ("DROP TABLE t", None, r'relation "public.t" does not exist'),
        ("ALTER TABLE t RENAME TO t_old", None, r'relation "public.t" does not exist'),
        ("ALTER TABLE t DROP COLUMN b", None, r'column "b" of relation "t" does not exist'),
        ("SELECT pg_terminate_backend(pg_backend_pid())", None, "--before-sql, line 1, SELECT|terminating connection"),
    ],
)
def test_a_script_that_fails_publishes_nothing_and_is_named(
    table: Session, database: Settings, before: str | None, after: str | None, told: str
) -> None:
    table.run("CREATE TABLE busy ()")
    with connect(database, "busy") as busy, busy.transaction(), pytest.raises(JobError, match=told):
        busy.run("LOCK TABLE busy")
        load(table, APPEND, NEW, load_id="x", before=before, after=after)
    with connect(database, "look") as look:
        assert rows_of(look) == OLD
        assert LUIGIS.recorded_target(look, "x") is None


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "BEGIN", "PREPARE TRANSACTION 'x'", "COPY t FROM stdin"])
def test_what_would_end_the_transaction_is_refused_when_it_is_parsed(statement: str) -> None:
    with pytest.raises(UsageError, match="--after-sql, line 2: "):
        scripts.parse(None, f"SELECT 1;\n{statement}")


@pytest.mark.parametrize("sql", ["", " -- nothing"])
def test_an_empty_script_is_refused(sql: str) -> None:
    with pytest.raises(UsageError, match="--before-sql contains no statement"):
        scripts.parse(sql, None)


def test_a_quote_that_is_not_closed_is_told_with_its_flag() -> None:
    with pytest.raises(UsageError, match="--before-sql: A quote or comment is not closed"):
        scripts.parse("SELECT 'a", None)


STOP = "SELECT pg_advisory_xact_lock(1)"
"""A script waits here for the end of `stopping`."""


@contextmanager
def stopping(database: Settings) -> Iterator[Callable[[Session], bool]]:
    """Scripts stop while the block runs. Gives whether a session waits, for that or for another lock."""
    with connect(database, "stopping") as holder:
        holder.run("SELECT pg_advisory_lock(1)")
        waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s"
        yield lambda session: bool(holder.run(waiting, session.backend.pid))


def test_locks_and_settings_that_a_script_gives_up_change_nothing(table: Session, database: Settings) -> None:
    """Another load that takes the staging tables for leftovers meets the locks of publish."""
    gives_up = (
        "SELECT pg_advisory_unlock_all(); DISCARD PLANS; SET LOCAL search_path = nowhere; SET LOCAL DateStyle = 'SQL'"
    )
    with connect(database, "sweeper") as sweeper, ThreadPoolExecutor(2) as pool, stopping(database) as waits:
        loading = pool.submit(load, table, APPEND, NEW, before=f"{gives_up}; {STOP}", after=gives_up)
        until(lambda: waits(table) or loading.done(), "the script")
        sweeping = pool.submit(leftovers.sweep, sweeper)
        until(lambda: waits(sweeper) or sweeping.done(), "the sweep")
    loading.result()
    sweeping.result()
    assert rows_of(table) == [*OLD, *map(list, NEW)]


def test_a_script_is_parsed_as_it_was_split_and_what_follows_keeps_the_roles_settings(database: Settings) -> None:
    """With standard_conforming_strings off, a backslash would escape the quote after it."""
    with connect(database, "setup") as setup:
        setup.run(f"ALTER DATABASE {database.dbname} SET standard_conforming_strings = off")
    with connect(database, "load") as session:
        session.run("CREATE TABLE t (a int, b text DEFAULT current_setting('standard_conforming_strings'))")
        load(session, Move("append", ("a",)), [(1,)], before=r"INSERT INTO t VALUES (0, '\'); SELECT '; --'")
        assert rows_of(session) == [[0, "\\"], [1, "off"]]


def test_a_script_finds_names_on_the_users_search_path(database: Settings) -> None:
    with connect(database, "setup") as setup:
        setup.run(f"CREATE SCHEMA mine; ALTER DATABASE {database.dbname} SET search_path = mine, public")
    with connect(database, "load") as session:
        session.run("CREATE TABLE public.t (a int, b text); CREATE TABLE mine.log (n bigint)")
        load(session, APPEND, NEW, before="INSERT INTO log VALUES (0)", after="INSERT INTO log SELECT count(*) FROM t")
        assert session.run("SELECT n FROM mine.log ORDER BY n") == [[0], [2]]


def test_the_rows_of_the_load_are_verified_and_not_those_of_scripts(table: Session) -> None:
    """What the script after changes is its own affair."""

    def hash_of(row: tuple[int, str]) -> int:
        text = f"{row[0]}\x1f{row[1]}"
        return int.from_bytes(hashlib.md5(text.encode()).digest()[:8], "big", signed=True)  # noqa: S324 - no secret

    row_text = verify.row_text(table, AB, (Form(PLAIN), Form(TEXT)))
    intended = Verification(row_text, Sum(len(NEW), sum(map(hash_of, NEW))))
    published = load(
        table,
        APPEND,
        NEW,
        verification=intended,
        before="INSERT INTO t VALUES (0, 'of the script')",
        after="UPDATE t SET b = 'changed' WHERE a = 3",
    )
    assert published.verified is not None
    assert published.verified.rows == 2
    assert rows_of(table) == [[0, "of the script"], *OLD, [3, "changed"], [4, "new"]]


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_two_loads_that_replace_the_same_rows_by_scripts_take_turns(
    table: Session, database: Settings, mode: str
) -> None:
    """The second one's DELETE must see the rows of the first one."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            with connect(database, "load") as writer:
                load(writer, Move(mode, AB), NEW, before="DELETE FROM t; SELECT pg_sleep(0.2)")
        except BaseException as error:  # noqa: BLE001 - told by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert rows_of(table) == [list(row) for row in NEW]


def test_an_overwrite_does_not_deadlock_with_a_writer_who_waits_for_its_script(
    table: Session, database: Settings
) -> None:
    """A writer who comes between the script and the move would wait for a row, and hold the table."""
    locking = f"UPDATE t SET b = 'locked' WHERE a = 1; {STOP}"
    with connect(database, "writer") as writer, ThreadPoolExecutor(2) as pool, stopping(database) as waits:
        loading = pool.submit(load, table, OVERWRITE, NEW, before=locking)
        until(lambda: waits(table) or loading.done(), "the script")
        writing = pool.submit(writer.change, "UPDATE t SET b = 'written' WHERE a = 1")
        until(lambda: waits(writer) or writing.done(), "the writer")
    loading.result()
    writing.result()
    assert rows_of(table) == [list(row) for row in NEW]


@pytest.mark.parametrize("answered", [False, True])
def test_scripts_are_run_once_if_the_answer_to_commit_is_lost(
    table: Session, database: Settings, answered: bool
) -> None:
    names = staging.plan_staging(T, AB)
    plan = PublishPlan("x", T, names, (Receipt(0, 0),), APPEND, is_new=False, scripts=scripts.parse(SHIFT, SHIFT))
    cut = Cut("pgjobs load", b"COMMIT", b"table_updates", answered=answered)
    with cuts_on_the_way_to(database, cut) as way:
        driver = Driver(Connector(way, "load", "x"))
        with driver.connect() as session:
            staging.create_beside(session, names, T)
            staging.hold(session, names)
            parts.begin_attempt(session, names, 0, 0)
            parts.copy_part(session, names, 0, 0, [Counted(b"3\tnew\n", 1)])
            published = publish_once(driver, session, plan)
    assert cut.cut
    assert published is not None
    assert [done.rows for done in (*published.ran.before, *published.ran.after)] == [2, 3]
    assert rows_of(table) == [[13, "new"], [21, "old"], [22, "old"]]


SHIFT = "UPDATE t SET a = a + 10"


def test_an_error_of_a_script_is_not_taken_for_repeated_keys(session: Session) -> None:
    twice = [(1, "x"), (1, "y")]
    with pytest.raises(DatabaseError, match=r"--after-sql, line 1, INSERT INTO: duplicate key value"):
        load(session, Move("ignore", AB, ("a",)), twice, ("integer", "text"), after="INSERT INTO t VALUES (1, 'z')")
