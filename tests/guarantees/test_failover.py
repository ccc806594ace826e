"""A primary with a real standby: target_session_attrs chooses, and a failover is followed."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack

import pytest
from server_folder import PATIENCE, server_folder, serving
from standby import replicated
from submitted import until

from jobs.dbaccess.conninfo.settings import Server, Settings, Timeouts, Tls
from jobs.dbaccess.errors import TransientError, UsageError
from jobs.dbaccess.extract import snapshot, watermark
from jobs.dbaccess.extract.snapshot import Snapshot, SnapshotLost
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from servermgr.postgres import Manager


def settings_for(*managers: Manager, attrs: str = "any", deadline: float = 0) -> Settings:
    servers = tuple(Server("127.0.0.1", manager.port) for manager in managers)
    patience = Timeouts(connect_timeout=60, deadline=deadline)
    return Settings("postgres", "postgres", servers, tls=Tls("disable"), target_session_attrs=attrs, timeouts=patience)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Manager, Manager]]:
    """The same, for tests that leave both as they are."""
    with replicated() as servers:
        yield servers


@pytest.fixture
def pair_of_its_own() -> Iterator[tuple[Manager, Manager]]:
    """The same, for a test that changes them."""
    with replicated() as servers:
        yield servers


def port_of(settings: Settings) -> int:
    with connect(settings, "t") as session:
        return int(session.run("SELECT inet_server_port()")[0][0])


@pytest.mark.parametrize(
    ("attrs", "serves"),
    [
        ("any", "standby"),
        ("read-write", "primary"),
        ("primary", "primary"),
        ("standby", "standby"),
        ("read-only", "standby"),
        ("prefer-standby", "standby"),
    ],
)
def test_the_attributes_choose_a_server(pair: tuple[Manager, Manager], attrs: str, serves: str) -> None:
    primary, standby = pair
    chosen = {"primary": primary, "standby": standby}[serves]
    assert port_of(settings_for(standby, primary, attrs=attrs)) == chosen.port


def test_a_promoted_standby_is_found_while_the_deadline_lasts(pair_of_its_own: tuple[Manager, Manager]) -> None:
    primary, standby = pair_of_its_own
    settings = settings_for(primary, standby, attrs="read-write", deadline=120)
    assert port_of(settings) == primary.port
    primary.stop()
    with pytest.raises(TransientError, match=r"No server answers.*is a standby, and not read-write"):
        connect(settings_for(primary, standby, attrs="read-write"), "t")

    def promote() -> None:
        time.sleep(0.5)
        with connect(settings_for(standby), "t") as session:
            session.run("SELECT pg_promote()")

    promotion = threading.Thread(target=promote)
    promotion.start()
    assert port_of(settings) == standby.port
    promotion.join()


def test_a_standby_is_read_in_one_snapshot_and_keeps_no_watermark(pair: tuple[Manager, Manager]) -> None:
    primary, standby = pair
    with connect(settings_for(primary), "t") as session:
        watermark.ensure(session)
        session.run("CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
        [[written]] = session.run("SELECT pg_current_wal_lsn()")
    with connect(settings_for(standby), "holder") as holder, connect(settings_for(standby), "part") as part:
        behind = "SELECT pg_last_wal_replay_lsn() < %s::text::pg_lsn"
        until(lambda: holder.run(behind, written) == [[False]], "the standby's replay")
        with pytest.raises(UsageError, match="a standby cannot write"):
            watermark.ensure(holder)
        moment = snapshot.export(holder, "SELECT 1")
        assert moment.seen == ""
        with snapshot.adopted(part, moment):
            assert b"".join(part.copy_out("COPY t TO STDOUT")) == b"".join(b"%d\n" % n for n in range(1, 10))


@pytest.fixture
def lone() -> Iterator[Manager]:
    """A server that can be restarted."""
    with (
        server_folder(0o777) as directory,
        serving(Manager("127.0.0.1", 0, directory / "data", initialize=True, settings={"fsync": "off"})) as manager,
    ):
        yield manager


def counter(moment: Snapshot) -> int:
    """Of the transactions of the server's slot for the session, in the snapshot's name."""
    return int(moment.id.split("-")[1], 16)


def slot(moment: Snapshot) -> str:
    """The server's slot for the session, in the snapshot's name."""
    return moment.id.split("-")[0]


def snapshots_of_sessions(settings: Settings, sessions: int) -> dict[str, Snapshot]:
    """A snapshot of each of some sessions by its slot, taken after many transactions."""
    with ExitStack() as opened:
        moments = {}
        for session in [opened.enter_context(connect(settings, "first")) for _ in range(sessions)]:
            for _ in range(100):
                session.run("SELECT 1")
            moment = snapshot.export(session, "SELECT 1 FROM t")
            moments[slot(moment)] = moment
        return moments


def session_in_slot(settings: Settings, wanted: Collection[str], opened: ExitStack) -> Session:
    """A session in one of these slots of the server. Each session takes the lowest that is free.

    The server's own processes, such as autovacuum's, take slots in the order in which they happen to start.
    So no single slot can be relied on.
    """
    for _ in range(20):
        session = opened.enter_context(connect(settings, "second"))
        found = slot(snapshot.export(session, "SELECT 1"))
        snapshot.release(session)
        if found in wanted:
            return session
    raise AssertionError(f"no session comes to any of the slots {wanted}")


def test_a_task_adopts_no_other_extracts_snapshot_after_a_restart(lone: Manager) -> None:
    """Names of snapshots are made of counters that begin anew, so that another one has the first one's name soon."""
    with connect(settings_for(lone), "maker") as maker:
        maker.run("CREATE TABLE t AS SELECT 1 AS id")
    moments = snapshots_of_sessions(settings_for(lone), 8)
    lone.stop()
    lone.start(timeout=PATIENCE)
    with ExitStack() as opened:
        second = session_in_slot(settings_for(lone), moments, opened)
        task = opened.enter_context(connect(settings_for(lone), "task"))
        counts = []
        for _ in range(2):
            latest = snapshot.export(second, "SELECT 1 FROM t")
            counts.append(counter(latest))
            snapshot.release(second)
        before = moments[slot(latest)]
        taken = counts[1] - counts[0]
        for _ in range(counter(before) - counts[1] - taken):
            second.run("SELECT 1")
        now = snapshot.export(second, "SELECT 1 FROM t")
        assert now.id == before.id
        with snapshot.adopted(task, now):
            assert task.run("SELECT id FROM t") == [[1]]
        with pytest.raises(SnapshotLost, match="is lost"), snapshot.adopted(task, before):
            raise AssertionError("this is another moment")
