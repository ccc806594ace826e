"""How a load publishes while others use the table: it waits for a bounded time, and repeats what a conflict ended."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from publishing import AB, load, rows_of

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import Driver, publish_once


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


def test_a_publish_that_a_deadlock_ended_is_done_again(
    session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old'), (2, 'old')")

    def publish(session: Session, plan: PublishPlan) -> Published:
        published = publish_once(Driver(Connector(database, "load", plan.load_id)), session, plan)
        assert published is not None
        return published

    with connect(database, "other") as other, ThreadPoolExecutor(1) as pool:
        other.run("SET deadlock_timeout = '20s'")  # so that the load is the one that the server ends
        other.run("BEGIN; UPDATE t SET b = 'theirs' WHERE a = 2")
        loading = pool.submit(load, session, Move("upsert", AB, ("a",)), [(1, "ours"), (2, "ours")], publish=publish)
        while not other.run("SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s", session.backend.pid):
            assert not loading.done()
        other.run("UPDATE t SET b = 'theirs' WHERE a = 1; COMMIT")
        assert loading.result().updated == 2
    assert rows_of(session) == [[1, "ours"], [2, "ours"]]
    assert "Publishing again." in caplog.text
