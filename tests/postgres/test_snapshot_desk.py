"""The desk: one session gives out moments to others, who ask by the database alone, and says when one is gone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import pytest
from pgcopies import end_sidecars, sidecars, until

from jobs.dbaccess import locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import SnapshotLost
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.pgcopy import snapshot_desk
from jobs.pgcopy.sidecar import hold_in_sidecar
from jobs.pgcopy.snapshot_desk import Desk

KEY = 4711
ACTION, LATER = 17, 18


@pytest.fixture
def table(session: Session) -> Iterator[None]:
    session.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    yield
    end_sidecars(session)


def open_desk(database: Settings, idle: float, grace: float = 60.0) -> bool:
    return bool(
        hold_in_sidecar(Connector(database, "pgcopy", "t"), "snapshot", Desk(KEY, "SELECT 1 FROM t", "t", idle, grace))
    )


@contextmanager
def reading(database: Settings, number: int, idle: float = 60.0) -> Iterator[Session]:
    with connect(database, "reader") as reader, snapshot.adopted(reader, snapshot_desk.ask(reader, KEY, number, idle)):
        yield reader


def rows(database: Settings, number: int) -> int:
    with reading(database, number) as reader:
        [[count]] = reader.run("SELECT count(*) FROM t")
        return int(count)


@pytest.mark.usefixtures("table")
def test_a_number_stands_for_one_snapshot_and_a_new_one_for_a_new_snapshot(
    session: Session, database: Settings
) -> None:
    assert open_desk(database, 60.0)
    assert rows(database, ACTION) == 1
    session.run("INSERT INTO t VALUES (2)")
    assert rows(database, LATER) == 2
    assert rows(database, ACTION) == 1
    assert sidecars(session) == 1


@pytest.mark.usefixtures("table")
def test_snapshots_that_are_requested_at_once_take_turns(session: Session, database: Settings) -> None:
    open_desk(database, 60.0)
    with reading(database, ACTION), ThreadPoolExecutor(6) as askers:
        assert list(askers.map(partial(rows, database), range(1, 7))) == [1] * 6
    assert sidecars(session) == 1


@pytest.mark.usefixtures("table")
def test_of_two_desks_with_one_key_one_is_opened(session: Session, database: Settings) -> None:
    assert open_desk(database, 60.0)
    assert not open_desk(database, 60.0)
    assert until(lambda: sidecars(session) == 1)


@pytest.mark.usefixtures("table")
def test_a_snapshot_that_idled_out_is_reported_and_the_next_one_is_new(session: Session, database: Settings) -> None:
    open_desk(database, 1.0)
    with reading(database, ACTION) as reader:
        session.run("INSERT INTO t VALUES (2)")
        session.run("SELECT pg_sleep(2.5)")  # as long as it is read in, it is held
        assert reader.run("SELECT count(*) FROM t") == [[1]]
    assert until(lambda: not holds(session))
    with (
        pytest.raises(SnapshotLost, match=r"idled out: nothing was read in it for 1 s .*Load the DataFrame again"),
        reading(database, ACTION, idle=1.0),
    ):
        pass
    assert rows(database, LATER) == 2
    assert sidecars(session) == 1


@pytest.mark.usefixtures("table")
def test_the_shortest_read_keeps_a_snapshot_from_idling_out(session: Session, database: Settings) -> None:
    time, over = [0.0], threading.Event()
    held = Desk(KEY, "SELECT 1 FROM t", "t", 2.0, now=lambda: time[0])
    with connect(database, "desk") as holder, ThreadPoolExecutor(1) as pool:

        def serve() -> None:
            while not over.is_set():
                held.wanted(holder)

        def is_quiet() -> bool:
            query = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND application_name ~ '^pgjobs snapshot - '"
            return bool(session.run(query, holder.backend.pid))

        held.take(holder)
        serving = pool.submit(serve)
        try:
            for time[0] in (0.0, 1.0, 2.0, 3.0):
                assert rows(database, ACTION) == 1
                assert until(is_quiet)
        finally:
            over.set()
        serving.result()


def holds(session: Session) -> bool:
    """Whether a desk holds vacuum back."""
    return bool(
        session.run(
            "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^pgjobs snapshot' AND backend_xmin IS NOT NULL "
            "AND datname = current_database()"
        )
    )


@pytest.mark.usefixtures("table")
def test_the_snapshot_of_a_dataframe_waits_for_its_first_task(session: Session, database: Settings) -> None:
    time = [0.0]
    held = Desk(KEY, "SELECT 1 FROM t", "t", 1.0, now=lambda: time[0])
    with connect(database, "desk") as holder:
        held.take(holder)
        with connect(database, "planner") as planner:
            locks.read_at_desk(planner, KEY, snapshot_desk.new_number())
            held.wanted(holder)
            planner.run("SELECT pg_advisory_unlock_all()")
        held.wanted(holder)  # when it becomes quiet
        for time[0] in (59.0, 61.0):
            held.wanted(holder)
            assert holds(session) == (time[0] < 60.0)


@pytest.mark.usefixtures("table")
def test_who_waits_to_change_the_table_gets_it_where_nobody_reads(session: Session, database: Settings) -> None:
    open_desk(database, 60.0, grace=1.0)
    assert rows(database, ACTION) == 1
    session.run("SET lock_timeout = '120s'")
    session.run("TRUNCATE t")
    with (
        pytest.raises(SnapshotLost, match="somebody waited to truncate or alter the table while nothing was read"),
        reading(database, ACTION),
    ):
        pass
    assert rows(database, LATER) == 0


@pytest.mark.usefixtures("table")
def test_a_table_is_not_truncated_while_a_snapshot_of_it_is_read(session: Session, database: Settings) -> None:
    open_desk(database, 60.0, grace=0.0)
    with reading(database, ACTION) as reader:
        session.run("SET lock_timeout = '1500ms'")
        with pytest.raises(Exception, match="lock timeout"):
            session.run("TRUNCATE t")
        assert reader.run("SELECT count(*) FROM t") == [[1]]


@pytest.mark.usefixtures("table")
def test_a_desk_that_ended_is_told(session: Session, database: Settings) -> None:
    open_desk(database, 60.0)
    end_sidecars(session)
    assert until(lambda: sidecars(session) == 0)
    with (
        pytest.raises(SnapshotLost, match="the process or the connection of the driver's that held it has ended"),
        reading(database, ACTION),
    ):
        pass


@pytest.mark.usefixtures("table")
def test_another_desk_of_the_same_key_does_not_give_out_another_snapshot(session: Session, database: Settings) -> None:
    """Somebody else's planner has opened it. Its snapshot would be newer than that of the parts that were read."""
    open_desk(database, 60.0)
    with connect(database, "planner") as planner:
        planned = snapshot_desk.ask(planner, KEY, ACTION, 60.0)
        assert snapshot_desk.ask(planner, KEY, ACTION, 60.0, planned.holder) == planned
    end_sidecars(session)
    assert until(lambda: sidecars(session) == 0)
    assert open_desk(database, 60.0)
    with connect(database, "part") as part, pytest.raises(SnapshotLost, match="that held it has ended"):
        snapshot_desk.ask(part, KEY, ACTION, 60.0, planned.holder)
