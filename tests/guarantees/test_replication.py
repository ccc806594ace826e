"""Logical replication of a database that is loaded into: subscribers go on, and see each row under its table's name."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from publishing import load
from server_folder import server_folder, serving
from submitted import until

from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.query import result, script
from jobs.dbaccess.query.result import Result
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from servermgr.postgres import Manager

AB = ("a", "b")
APPEND = Move("append", AB)


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Settings, Settings]]:
    """One that publishes, and one that subscribes."""
    with server_folder() as directory:
        settings = {"fsync": "off", "wal_level": "logical", "wal_retrieve_retry_interval": "100ms"}
        publisher, subscriber = (
            Manager("127.0.0.1", 0, directory / name, initialize=True, settings=settings)
            for name in ("publisher", "subscriber")
        )
        with serving(publisher), serving(subscriber):
            yield way_to(publisher), way_to(subscriber)


def way_to(server: Manager) -> Settings:
    return Settings("postgres", "postgres", (Server("127.0.0.1", server.port),), tls=Tls("disable"))


@pytest.fixture(params=["ALL TABLES", "TABLES IN SCHEMA public"])
def sessions(servers: tuple[Settings, Settings], request: pytest.FixtureRequest) -> Iterator[tuple[Session, Session]]:
    """On both servers: the publisher's tables t and table_updates are at the subscriber, too, and subscribed to."""
    publisher, subscriber = servers
    with connect(publisher, "publisher") as here, connect(subscriber, "subscriber") as there:
        [[version]] = here.run("SELECT current_setting('server_version_num')::int")
        if "SCHEMA" in request.param and version < 150000:
            pytest.skip("publications of schemas came with PostgreSQL 15")
        for session in (here, there):
            LUIGIS.ensure(session)
            session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
        here.run(f"CREATE PUBLICATION p FOR {request.param}")
        [address] = publisher.servers
        there.run(
            f"CREATE SUBSCRIPTION s CONNECTION 'host={address.host} port={address.port} user=postgres dbname=postgres' "
            "PUBLICATION p"
        )
        until(lambda: there.run("SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'") == [[2]], "sync")
        yield here, there
        there.run("DROP SUBSCRIPTION s")
        here.run("DROP PUBLICATION p")
        for session in (here, there):
            session.run("DROP TABLE t, table_updates")


def test_the_result_of_a_query_is_not_published(sessions: tuple[Session, Session]) -> None:
    """Subscribers lack its table, and would stop at its rows. Rows that a query changes are published."""
    here, there = sessions
    here.run("INSERT INTO t VALUES (1, 'one'), (2, 'two')")
    with here.transaction():
        into = Result(here, "pgjobs_result_of_a_test")
        for sql in ("SELECT 1 AS one", "DELETE FROM t WHERE a = 1 RETURNING a, b"):
            [statement] = script.split(sql)
            into.ask(here, statement, ())
        pending = into.keep(here, "x", "/lake")
    assert here.run("SELECT a, b FROM pgjobs_result_of_a_test") == [[1, "one"]]
    assert_replicated(here, there)
    result.drop(here, pending, lambda: None)


def assert_replicated(here: Session, there: Session) -> None:
    """The subscriber has the same rows, and never stumbled (which PostgreSQL 14 does not count)."""
    expected = here.run("SELECT * FROM t ORDER BY a")
    until(lambda: there.run("SELECT * FROM t ORDER BY a") == expected, "the rows at the subscriber")
    if there.run("SELECT to_regclass('pg_catalog.pg_stat_subscription_stats')::oid") != [[None]]:
        assert there.run("SELECT apply_error_count FROM pg_stat_subscription_stats") == [[0]]


@pytest.mark.parametrize("move", [APPEND, Move("overwrite", AB), Move("upsert", AB, ("a",))])
def test_a_subscriber_sees_a_load_and_nothing_of_its_staging(sessions: tuple[Session, Session], move: Move) -> None:
    here, there = sessions
    load(here, move, [(1, "x"), (2, "y")])
    assert_replicated(here, there)
    assert there.run("SELECT count(*) FROM table_updates") == here.run("SELECT count(*) FROM table_updates")


def test_partitions_of_a_published_table_are_not_replaced(sessions: tuple[Session, Session]) -> None:
    """Attaching a table is not replicated: subscribers would keep the old rows."""
    here, _ = sessions
    here.run(
        "CREATE TABLE years (a int, b text) PARTITION BY LIST (a);"
        "CREATE TABLE days PARTITION OF years DEFAULT PARTITION BY LIST (a); CREATE TABLE day PARTITION OF days DEFAULT"
    )
    try:
        for as_root in ("false", "true"):  # its partitions are listed as published, or only the table at the top
            here.run(f"ALTER PUBLICATION p SET (publish_via_partition_root = {as_root})")
            with pytest.raises(LoadError, match=r"cannot replace partitions of public\.days, which p publishes"):
                check_target(here, TableName("days", "public"), Move("replace-partitions", AB))
    finally:
        here.run("DROP TABLE years")


@pytest.mark.parametrize("move", [APPEND, Move("upsert", AB, ("a",))])
def test_the_rows_of_a_new_table_are_told_under_its_name(
    sessions: tuple[Session, Session], move: Move, caplog: pytest.LogCaptureFixture
) -> None:
    here, there = sessions
    here.run("DROP TABLE t")  # the subscriber has it, as it must
    there.run("ALTER SUBSCRIPTION s REFRESH PUBLICATION")
    with caplog.at_level(logging.WARNING):
        load(here, move, [(1, "x"), (2, "y")], types=("integer", "text"))
    assert "public.t is new, and published by p" in caplog.text
    assert here.run("SELECT relpersistence::text FROM pg_class WHERE relname = 't'") == [["p"]]
    there.run("ALTER SUBSCRIPTION s REFRESH PUBLICATION")
    assert_replicated(here, there)


def test_staging_of_a_new_table_is_logged_where_nobody_publishes_it(session: Session) -> None:
    """So that it can become the table, and survive a crash."""
    names = staging.plan_staging(TableName("t", "public"), AB)
    staging.create_for_new(session, names, ("integer", "text"), logged=True)
    assert staging.is_logged(session, names)
