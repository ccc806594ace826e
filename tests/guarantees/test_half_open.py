"""What a load holds is free again soon after its connection is lost, also where the server has not noticed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from faults import Cut, cuts_on_the_way_to

from jobs.dbaccess import locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings, Timeouts
from jobs.dbaccess.errors import ConnectionFailed
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import PublishPlan, TransactionPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.publish import Driver, publish_once, taken_over

TARGET = TableName("t", "public")


@pytest.fixture
def names(session: Session) -> Staging:
    """A load's staging with a row, for a table that is there."""
    session.run("CREATE TABLE t (a int)")
    names = staging.plan_staging(TARGET, ["a"])
    staging.create_beside(session, names, TARGET)
    parts.begin_attempt(session, names, 0, 1)
    parts.copy_part(session, names, 0, 1, [Counted(b"1\n", 1)])
    return names


def driver(settings: Settings, *, has_sidecar: bool = False) -> Driver:
    return Driver(Connector(settings, "load", "x"), has_sidecar)


def plan(names: Staging) -> PublishPlan:
    return PublishPlan("x", TARGET, names, (Receipt(0, 1),), Move("append", ("a",)), is_new=False)


@contextmanager
def half_open_at(database: Settings, said: bytes, after: bytes = b"") -> Iterator[Settings]:
    """A way on which the driver's first connection is lost, and the server does not notice."""
    with cuts_on_the_way_to(database, Cut("pgjobs load", said, after, half=True)) as way:
        yield way


def is_there(session: Session, pid: int) -> bool:
    return bool(session.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))


def test_the_server_watches_the_connection_as_we_do(database: Settings) -> None:
    """The values are those of its socket."""
    with connect(database, "watched") as session:
        usual = Timeouts()
        for name, value in (
            ("tcp_keepalives_idle", usual.idle),
            ("tcp_keepalives_interval", usual.interval),
            ("tcp_keepalives_count", usual.count),
            ("tcp_user_timeout", int(usual.user_timeout * 1000)),
        ):
            assert session.run("SELECT setting::int FROM pg_settings WHERE name = %s", name) == [[value]]


def test_a_driver_whose_connection_is_half_open_goes_on_with_what_it_held(
    session: Session, database: Settings, names: Staging
) -> None:
    with half_open_at(database, b"SELECT 1") as way, driver(way).connect() as lost:
        assert locks.take(lost, locks.load("x"))
        with pytest.raises(ConnectionFailed):
            lost.run("SELECT 1")
        with taken_over(driver(way), lost, TransactionPlan((plan(names),))) as replacement:
            assert replacement is not lost
            assert not is_there(session, lost.backend.pid)
            assert not locks.take(session, locks.load("x"))
            assert leftovers.sweep(session) == []


@pytest.mark.parametrize("has_sidecar", [False, True])
@pytest.mark.parametrize("at", [b"BEGIN", b"LOCK TABLE", b"COMMIT"])
def test_a_publish_whose_connection_is_half_open_is_done_over_another_one(
    session: Session, database: Settings, names: Staging, at: bytes, has_sidecar: bool
) -> None:
    """Its former session has locked the staging tables, and would for hours."""
    after = b"DROP TABLE" if at == b"COMMIT" else b""
    with half_open_at(database, at, after) as way, driver(way, has_sidecar=has_sidecar).connect() as lost:
        published = publish_once(driver(way, has_sidecar=has_sidecar), lost, plan(names))
    assert published is not None
    assert published.inserted == 1
    assert session.run("SELECT a FROM t") == [[1]]


@pytest.mark.parametrize("has_sidecar", [False, True])
def test_a_commit_that_was_done_before_the_connection_was_half_open_is_not_repeated(
    session: Session, database: Settings, names: Staging, has_sidecar: bool
) -> None:
    cut = Cut("pgjobs load", b"COMMIT", b"DROP TABLE", answered=True, half=True)
    with cuts_on_the_way_to(database, cut) as way, driver(way, has_sidecar=has_sidecar).connect() as lost:
        published = publish_once(driver(way, has_sidecar=has_sidecar), lost, plan(names))
    assert published is not None
    assert published.inserted == 1
    assert session.run("SELECT a FROM t") == [[1]]


def test_a_load_that_another_run_published_meanwhile_is_not_published_and_its_staging_is_dropped(
    session: Session, database: Settings, names: Staging
) -> None:
    LUIGIS.record(session, "x", "public.t")
    with driver(database).connect() as own:
        assert publish_once(driver(database), own, plan(names)) is None
    assert session.run("SELECT a FROM t") == []
    assert not staging.exists(session, names)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_a_publish_waits_for_a_transaction_of_its_load_id_that_is_still_open(
    session: Session, database: Settings, names: Staging, end: str
) -> None:
    """As a former session's may be, which nobody could terminate."""
    with connect(database, "former") as former, ThreadPoolExecutor() as pool:
        former.run("BEGIN")
        former.run("INSERT INTO table_updates (update_id, target_table) VALUES ('x', 'public.t')")
        with driver(database).connect() as own:
            publishing = pool.submit(publish_once, driver(database), own, plan(names))
            waiting = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'transactionid'"
            while not session.run(waiting, own.backend.pid):
                assert not publishing.done()
            former.run(end)
            published = publishing.result()
    assert (published is None) == (end == "COMMIT")
    assert session.run("SELECT a FROM t") == ([] if end == "COMMIT" else [[1]])
