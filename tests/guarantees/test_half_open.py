"""What a load holds is free again soon after its connection is lost, also where the server has not noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from faults import Cut, cuts_on_the_way_to

from jobs.dbaccess.conninfo.settings import Patience, Settings
from jobs.dbaccess.load import ledger, staging
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.load.publish import Publication
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.staging import Counted, Staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load import publish
from jobs.spark.load_tasks import Delivery

TARGET = TableName("t", "public")


@pytest.fixture
def names(session: Session) -> Staging:
    """A load's staging with a row, for a table that is there."""
    session.run("CREATE TABLE t (a int)")
    names = staging.plan_staging(TARGET, ["a"])
    staging.create_beside(session, names, TARGET)
    staging.begin_attempt(session, names, 0, 1)
    staging.copy_part(session, names, 0, 1, [Counted(b"1\n", 1)])
    return names


@contextmanager
def half_open_at(database: Settings, said: bytes, after: bytes = b"") -> Iterator[Settings]:
    """A way on which the driver's first connection is lost, and the server does not notice."""
    with cuts_on_the_way_to(database, Cut("pgjobs load_table", said, after, half=True)) as way:
        yield way


def is_there(session: Session, pid: int) -> bool:
    return bool(session.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid))


def test_the_server_watches_the_connection_as_we_do(database: Settings) -> None:
    """The values are those of its socket."""
    with connect(database, "watched") as session:
        usual = Patience()
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
    with half_open_at(database, b"SELECT 1") as way, publish.connected(way, "x") as lost:
        assert ledger.claim_load(lost, "x")
        with publish.alive(lost, Delivery(way, names, "x")) as again:
            assert again is not lost
            assert not is_there(session, lost.backend.pid)
            assert not ledger.claim_load(session, "x")


def test_a_publish_whose_connection_is_half_open_is_done_over_another_one(
    session: Session, database: Settings, names: Staging
) -> None:
    """Its former session has locked the staging tables, and would for hours."""
    publication = Publication("x", TARGET, names, (Receipt(0, 1),), Move("append", ("a",)), is_new=False)
    with half_open_at(database, b"COMMIT", after=b"DROP TABLE") as way, publish.connected(way, "x") as lost:
        assert ledger.claim_load(lost, "x")
        assert publish.publish_surely(lost, way, publication).inserted == 1
    assert session.run("SELECT a FROM t") == [[1]]


def test_a_commit_that_was_done_before_the_connection_was_half_open_is_not_repeated(
    session: Session, database: Settings, names: Staging
) -> None:
    publication = Publication("x", TARGET, names, (Receipt(0, 1),), Move("append", ("a",)), is_new=False)
    cut = Cut("pgjobs load_table", b"COMMIT", b"DROP TABLE", answered=True, half=True)
    with cuts_on_the_way_to(database, cut) as way, publish.connected(way, "x") as lost:
        assert ledger.claim_load(lost, "x")
        assert publish.publish_surely(lost, way, publication).inserted == 1
    assert session.run("SELECT a FROM t") == [[1]]
