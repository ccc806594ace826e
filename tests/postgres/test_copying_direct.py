"""Direct parts: of all attempts at a part, exactly one is in the table, whatever the others do."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from publishing import T, load

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, JobError, TransientError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct, parts
from jobs.dbaccess.load.copying.direct import Direct, Marker, Superseded
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.postgres_connectivity import connect, connect_pinned
from jobs.dbaccess.session import Session
from jobs.spark.tasks.load_tasks import Delivery, deliver

TRIGGER = """
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()
"""


@pytest.fixture
def into(session: Session) -> Direct:
    """The table t, and a run of the load x into it."""
    session.run("CREATE TABLE t (a int PRIMARY KEY)")
    names = staging.plan_staging(T, ("a",))
    staging.create_parts(session, names)
    return Direct(T, names, Marker(LUIGIS.located(session), "x", T))


def lines(*numbers: int) -> list[Counted]:
    return [Counted(f"{number}\n".encode(), 1) for number in numbers]


def state(session: Session) -> list[list[object]]:
    """The rows, and the markers."""
    return session.run("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM table_updates)")


def test_rows_marker_and_claim_are_committed_together(session: Session, into: Direct) -> None:
    assert direct.begin_attempt(session, into, 0, 7)
    with pytest.raises(DatabaseError):
        direct.copy_part(session, into, 0, 7, lines(1, 1))
    assert state(session) == [[0, 0]]
    direct.copy_part(session, into, 0, 7, lines(1, 2))
    assert state(session) == [[2, 1]]
    assert parts.tally(session, into.names) == parts.Tally(1, 2, 4, 0, None)


def test_of_two_attempts_at_a_part_the_second_one_leaves_nothing(session: Session, into: Direct) -> None:
    session.run("ALTER TABLE t DROP CONSTRAINT t_pkey")
    assert direct.begin_attempt(session, into, 0, 1)
    assert direct.begin_attempt(session, into, 0, 2)
    direct.copy_part(session, into, 0, 1, lines(1, 2))
    with pytest.raises(Superseded):
        direct.copy_part(session, into, 0, 2, lines(1, 2))
    assert state(session) == [[2, 1]]
    assert not direct.begin_attempt(session, into, 0, 3)


def test_no_attempt_commits_after_the_run_was_closed(session: Session, database: Settings, into: Direct) -> None:
    """Not even that of a machine that was cut off, and of which the driver knows nothing."""
    assert direct.begin_attempt(session, into, 0, 1)
    with connect(database, "cut off") as late:

        def blocks() -> Iterator[Counted]:
            yield from lines(1)
            direct.close(session, into.names)
            yield from lines(2)

        with pytest.raises(TransientError):
            direct.copy_part(late, into, 0, 1, blocks())
    with pytest.raises(DatabaseError, match="does not exist"):
        direct.copy_part(session, into, 0, 1, lines(3))
    assert state(session) == [[0, 0]]


def test_a_later_attempt_does_not_wait_for_keys_of_one_that_hangs(
    session: Session, database: Settings, into: Direct
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def blocks() -> Iterator[Counted]:
        yield Counted(b"".join(block.block for block in lines(*range(10_000))), 10_000)
        hangs.set()
        go_on.wait(120)

    def hang() -> None:
        with connect(database, "stuck") as stuck, pytest.raises(JobError):
            direct.begin_attempt(stuck, into, 0, 1)
            direct.copy_part(stuck, into, 0, 1, blocks())

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        assert hangs.wait(60)
        deliver(Delivery(Connector(database, "load", "x"), into.names, into), 0, 2, lines(*range(10_000)))
        assert state(session) == [[10_000, 1]]
    finally:
        go_on.set()
        thread.join()
    assert state(session) == [[10_000, 1]]


def test_an_attempt_whose_rows_are_there_by_another_one_is_no_failure(
    session: Session, database: Settings, into: Direct
) -> None:
    """Its own rows have the keys of those that are there."""
    delivery = Delivery(Connector(database, "load", "x"), into.names, into)

    def blocks() -> Iterator[Counted]:
        with connect(database, "another") as another:
            another.run(f"INSERT INTO {into.names.parts.quoted} (part, attempt) VALUES (0, 2)")
            direct.copy_part(another, into, 0, 2, lines(1, 2))
        yield from lines(1, 2)

    deliver(delivery, 0, 1, blocks())
    assert state(session) == [[2, 1]]
    assert parts.tally(session, into.names).failure is None


def test_a_lost_answer_to_commit_is_looked_up_by_the_attempt(
    session: Session, database: Settings, into: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run

    def losing(self: Session, statement: str, *values: object) -> list[list[object]]:
        rows = run(self, statement, *values)
        if statement == "COMMIT" and run(session, "SELECT 1 FROM t LIMIT 1"):
            monkeypatch.undo()
            self.close()
            run(self, "SELECT 1")
        return rows

    monkeypatch.setattr(Session, "run", losing)
    deliver(Delivery(Connector(database, "load", "x"), into.names, into), 0, 1, lines(1, 2))
    assert state(session) == [[2, 1]]


@pytest.mark.parametrize(
    ("ddl", "reason"),
    [
        ("CREATE TABLE t (a int)", ""),
        ("CREATE TABLE t (a int) PARTITION BY RANGE (a)", ""),
        ("CREATE TABLE b (a int); CREATE VIEW t AS SELECT * FROM b", "not a plain or partitioned table"),
        ("CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO ALSO NOTHING", "triggers or rules"),
        (f"CREATE TABLE t (a int); {TRIGGER}", "triggers or rules"),
    ],
)
def test_only_tables_into_which_copy_and_insert_are_the_same_are_copied_into(
    session: Session, ddl: str, reason: str
) -> None:
    session.run(ddl)
    table = tables.find_table(session, T)
    assert table is not None
    found = direct.why_not(session, table)
    assert (reason in found) if reason else not found


def test_a_table_whose_policies_bind_this_user_is_not_copied_into(session: Session) -> None:
    session.run("CREATE ROLE mallory_of_direct; CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    try:
        session.run("GRANT INSERT ON t TO mallory_of_direct; SET ROLE mallory_of_direct")
        table = tables.find_table(session, T)
        assert table is not None
        assert "row-level security" in direct.why_not(session, table)
    finally:
        session.run("RESET ROLE; DROP OWNED BY mallory_of_direct; DROP ROLE mallory_of_direct")


DEFERRED = """
CREATE TABLE audit (a int);
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO audit VALUES (NEW.a); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER g AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()
"""


def test_deferred_triggers_find_what_the_users_path_finds(session: Session, database: Settings, into: Direct) -> None:
    session.run(DEFERRED)
    deliver(Delivery(Connector(database, "load", "x"), into.names, into), 0, 1, lines(1, 2))
    assert parts.tally(session, into.names).failure is None
    with connect_pinned(database, "driver") as driver:
        load(driver, Move("append", ("a",)), [[3]])
    assert session.run("SELECT count(*) FROM audit") == [[3]]
