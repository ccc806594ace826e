"""Publish: all of what was staged, or nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from publishing import AB, load
from stages import TARGET, attempt, stuck_copy, tables

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import AlreadyRecorded, publish
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def plan(names: Staging, *receipts: Receipt, is_new: bool = False) -> PublishPlan:
    return PublishPlan("load-1", TARGET, names, receipts, Move("append", names.columns), is_new)


def test_publishing_ends_an_attempt_that_hangs_and_has_lost(
    session: Session, beside: Staging, database: Settings
) -> None:
    with stuck_copy(database, beside, 0, 100) as raised:
        accepted = attempt(session, beside, 0, 101, 1, 2)
        assert publish(session, plan(beside, accepted)).inserted == 2
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
        publish(session, plan(beside, accepted))
    assert raised == []
    assert parts.tally(session, other).rows == 20
    assert session.run("SELECT a FROM t ORDER BY a") == [[0], [1], [2]]


def test_publishing_appends_marks_and_clears_up(session: Session, beside: Staging) -> None:
    session.run("INSERT INTO t VALUES (0, 'old', 1)")
    accepted = [attempt(session, beside, 0, 100, 1), attempt(session, beside, 1, 101, 2, 3)]
    published = publish(session, plan(beside, *accepted))
    assert (published.staged.rows, published.inserted, published.ignored) == (3, 3, 0)
    assert session.run("SELECT a, b, c FROM t ORDER BY a") == [[0, "old", 1], [1, "x", 7], [2, "x", 7], [3, "x", 7]]
    assert LUIGIS.recorded_target(session, "load-1") == "public.t"
    assert tables(session) == ["t", "table_updates"]


def test_publishing_with_a_part_missing_changes_nothing(session: Session, beside: Staging) -> None:
    accepted = attempt(session, beside, 0, 100, 1)
    with pytest.raises(LoadError, match=r"1 of 2 parts are staged, .* the server crashed"):
        publish(session, plan(beside, accepted, Receipt(1, 101)))
    assert session.run("SELECT * FROM t") == []
    assert LUIGIS.recorded_target(session, "load-1") is None


def test_publishing_an_id_that_was_recorded_meanwhile_changes_nothing(session: Session, beside: Staging) -> None:
    accepted = attempt(session, beside, 0, 100, 1)
    LUIGIS.record(session, "load-1", "public.t")
    with pytest.raises(LoadError, match="recorded by another run"):
        publish(session, plan(beside, accepted))
    assert session.run("SELECT * FROM t") == []


def test_publishing_what_the_table_refuses_changes_nothing(session: Session, beside: Staging) -> None:
    session.run("ALTER TABLE t ADD CHECK (a < 2)")
    accepted = attempt(session, beside, 0, 100, 1, 2)
    with pytest.raises(Exception, match="t_a_check"):
        publish(session, plan(beside, accepted))
    assert session.run("SELECT * FROM t") == []
    assert LUIGIS.recorded_target(session, "load-1") is None


def test_staging_that_a_crash_emptied_is_not_published(session: Session, beside: Staging) -> None:
    """A crash empties unlogged tables and keeps the claims; TRUNCATE leaves the same."""
    accepted = attempt(session, beside, 0, 100, 1, 2)
    session.run(f"TRUNCATE {beside.rows.quoted}")
    with pytest.raises(LoadError, match="2 rows were staged, but 0 are left"):
        publish(session, plan(beside, accepted))
    assert LUIGIS.recorded_target(session, "load-1") is None


def test_a_trigger_that_keeps_rows_out_has_its_way(session: Session, beside: Staging) -> None:
    session.run(
        "CREATE FUNCTION skip_odd() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN IF NEW.a % 2 = 1 THEN RETURN NULL; END IF; RETURN NEW; END$$"
    )
    session.run("CREATE TRIGGER skip_odd BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION skip_odd()")
    accepted = attempt(session, beside, 0, 100, 1, 2)
    published = publish(session, plan(beside, accepted))
    assert (published.staged.rows, published.inserted, published.ignored) == (2, 1, 1)


def test_a_new_table_is_the_staged_one_renamed(session: Session) -> None:
    names = staging.plan_staging(TARGET, ["a", 'weird " name'])
    staging.create_for_new(session, names, ["integer", "text"], logged=True)
    accepted = attempt(session, names, 0, 100, 1, 2)
    assert publish(session, plan(names, accepted, is_new=True)).inserted == 2
    assert session.run('SELECT a, "weird "" name" FROM t ORDER BY a') == [[1, "x"], [2, "x"]]
    assert session.run("SELECT relpersistence::text, reloptions FROM pg_class WHERE relname = 't'") == [["p", None]]
    assert tables(session) == ["t", "table_updates"]


def test_a_new_table_that_someone_made_meanwhile_is_appended_to(session: Session) -> None:
    names = staging.plan_staging(TARGET, ["a", "b"])
    staging.create_for_new(session, names, ["integer", "text"], logged=True)
    accepted = attempt(session, names, 0, 100, 1)
    session.run("CREATE TABLE t (a int, b text)")
    session.run("INSERT INTO t VALUES (0, 'theirs')")
    publish(session, plan(names, accepted, is_new=True))
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[0, "theirs"], [1, "x"]]
    assert tables(session) == ["t", "table_updates"]


def test_two_loads_that_create_a_table_at_once_leave_the_rows_of_both(session: Session, database: Settings) -> None:
    types = ("integer", "text")
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (%s, %s)"
    with (
        connect(database, "first") as first,
        connect(database, "second") as second,
        ThreadPoolExecutor(2) as pool,
        session.transaction(),
    ):
        session.run("SELECT pg_advisory_xact_lock(1)")
        hold = "SELECT pg_advisory_xact_lock(1)"
        loads = [pool.submit(load, first, Move("append", AB), [(1, "x")], types, after=hold)]
        for number in (1, 2):  # the first one in its script, and the second one for the first one
            while session.value(waiting, first.backend.pid, second.backend.pid) < number:
                assert not any(loading.done() for loading in loads)
            if number == 1:
                loads.append(pool.submit(load, second, Move("append", AB), [(2, "y")], types))
    assert [loading.result(120).inserted for loading in loads] == [1, 1]
    assert session.run("SELECT a FROM t ORDER BY a") == [[1], [2]]


def test_a_marker_table_that_takes_no_marker_keeps_the_load_out(session: Session, beside: Staging) -> None:
    """It is an error, and not taken for a load that was published before."""
    receipt = attempt(session, beside, 0, 100, 1)
    session.run(
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
        "CREATE TRIGGER skip BEFORE INSERT ON table_updates FOR EACH ROW EXECUTE FUNCTION skip()"
    )
    with pytest.raises(LoadError, match="could not be written into table_updates") as caught:
        publish(session, plan(beside, receipt))
    assert not isinstance(caught.value, AlreadyRecorded)
    assert session.run("SELECT count(*) FROM t") == [[0]]
