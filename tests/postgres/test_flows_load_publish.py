"""How a load publishes while others use the table: it waits for a bounded time, and repeats what a conflict ended."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest
from publishing import AB, load, rows_of
from releases import staged

from jobs.dbaccess import locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, TransientError
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.marker_targets import naming
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import AlreadyRecorded
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import (
    CONFLICTS,
    Driver,
    answering,
    check_still_staged,
    publish_once,
    publish_together_once,
)

APPEND_X = Move("append", ("x",))


def test_a_lock_that_is_not_granted_in_time_is_told_with_its_holder(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old')")
    with connect(database, "somebody's psql") as other:
        other.run("BEGIN; UPDATE t SET b = 'theirs'")
        with pytest.raises(TransientError) as caught:
            load(session, Move("upsert", AB, ("a",)), [(1, "ours")], lock_timeout=1)
        other.run("COMMIT")
    told = str(caught.value)
    assert "A lock on public.t or its rows was not granted in time. It is held by session" in told
    assert 'application "somebody\'s psql", idle in transaction, in a transaction since' in told
    assert "theirs" not in told
    assert rows_of(session) == [[1, "theirs"]]


def publishing(database: Settings) -> Callable[[Session, PublishPlan], Published]:
    """How a driver publishes a load."""

    def publish(session: Session, plan: PublishPlan) -> Published:
        published = publish_once(Driver(Connector(database, "load", plan.load_id)), session, plan)
        assert published is not None
        return published

    return publish


def test_a_publish_that_a_deadlock_ended_is_done_again(
    session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old'), (2, 'old')")
    session.run(
        "CREATE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END'; "
        "CREATE TRIGGER stop BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.b = 'ours') EXECUTE FUNCTION stop()"
    )
    publish = publishing(database)
    with (
        connect(database, "holder") as holder,
        connect(database, "other") as other,
        ThreadPoolExecutor(2) as pool,
    ):

        def await_waiting(waiting: Session) -> None:
            while not holder.run("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", waiting.backend.pid):
                assert not loading.done()

        holder.run("SELECT pg_advisory_lock(1)")
        other.run("SET deadlock_timeout = '10min'")  # so that the load is the one that the server ends
        other.run("BEGIN; UPDATE t SET b = 'theirs' WHERE a = 2")
        loading = pool.submit(load, session, Move("upsert", AB, ("a",)), [(1, "ours"), (2, "ours")], publish=publish)
        await_waiting(session)  # with the first row, which it has locked
        updating = pool.submit(other.run, "UPDATE t SET b = 'theirs' WHERE a = 1; COMMIT")
        await_waiting(other)  # before the load comes to the second row, and looks for a deadlock
        holder.run("SELECT pg_advisory_unlock(1)")
        updating.result()
        assert loading.result().updated == 2
    assert rows_of(session) == [[1, "ours"], [2, "ours"]]
    assert "Publishing again." in caplog.text


@pytest.mark.parametrize(("failures", "rows"), [(CONFLICTS, [[1, "x"]]), (CONFLICTS + 1, [])])
def test_a_publish_that_failed_to_serialize_is_done_again_but_not_for_ever(
    session: Session, database: Settings, failures: int, rows: list[list[object]]
) -> None:
    """A sequence counts the attempts: it does not go back with their transactions."""
    session.run(
        "CREATE TABLE t (a int, b text); CREATE SEQUENCE public.attempts; "
        "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF nextval('public.attempts') <= {failures} THEN RAISE serialization_failure; END IF; RETURN NULL; END $$; "
        "CREATE TRIGGER conflict AFTER INSERT ON t FOR EACH STATEMENT EXECUTE FUNCTION conflict()"
    )
    with nullcontext() if rows else pytest.raises(TransientError):
        assert load(session, Move("append", AB), [(1, "x")], publish=publishing(database)).inserted == 1
    assert rows_of(session) == rows
    assert session.value("SELECT last_value FROM public.attempts") == CONFLICTS + 1


def test_a_session_that_broke_unnoticed_is_replaced_by_one_that_holds_what_it_held(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE a (x int); CREATE TABLE b (x int)")
    driver = Driver(Connector(database, "load", "x"))
    with driver.connect() as broken, driver.connect() as sweeping:
        assert locks.take(broken, LUIGIS.lock(broken, "x"))
        transaction = staged(broken, "x", {"a": (APPEND_X, [[1]]), "b": (APPEND_X, [[2]])})
        with answering(driver, broken, transaction) as same:
            assert same is broken
        sweeping.run("SELECT pg_terminate_backend(%s, 10000)", broken.backend.pid)
        with answering(driver, broken, transaction) as replacement:
            assert broken.closed
            assert leftovers.sweep(sweeping) == []
            assert not locks.take(sweeping, LUIGIS.lock(sweeping, "x"))
            published = publish_together_once(driver, replacement, transaction)
    assert published is not None
    assert session.run("SELECT x FROM a UNION ALL SELECT x FROM b") == [[1], [2]]


def test_what_another_run_or_load_did_while_nobody_held_what_is_staged_is_told(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE a (x int); CREATE TABLE b (x int)")
    driver = Driver(Connector(database, "load", "x"))
    with driver.connect() as broken:
        transaction = staged(broken, "x", {"a": (APPEND_X, [[1]]), "b": (APPEND_X, [[2]])})
        check_still_staged(session, transaction, transaction.targets)
        session.run("SELECT pg_terminate_backend(%s, 10000)", broken.backend.pid)
        assert leftovers.sweep(session)
        with answering(driver, broken, transaction) as replacement:
            with pytest.raises(LoadError, match=r"^public\.a: Another load dropped what was staged.* Run it again\."):
                check_still_staged(replacement, transaction, transaction.targets)
            assert LUIGIS.located(session).record(session, "x", naming(transaction.targets))
            with pytest.raises(AlreadyRecorded):
                check_still_staged(replacement, transaction, transaction.targets)
