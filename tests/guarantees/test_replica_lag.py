"""Real standbys: a load with --max-replica-lag waits for one, and none is copied into the table that it follows."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pyspark.sql import SparkSession
from slow_line import Line
from standby import replicated
from submitted import until

from jobs import copy_table
from jobs.dbaccess.catalog import wal
from jobs.dbaccess.conninfo.settings import Server, Settings, Tls
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from servermgr.postgres import Manager

ROWS = 600_000
"""Of some 120 bytes: 70 MB of WAL, in 17 slices."""

LINE = Line()
"""On which the standby gets the WAL."""

BYTES_PER_SECOND, ALLOWED = 7e6, 4.0
"""What the line carries when it is slow: all rows take 10 s. And the seconds that the standby may then be behind."""


def settings_of(server: Manager, user: str = "postgres") -> Settings:
    return Settings("postgres", user, (Server("127.0.0.1", server.port),), tls=Tls("disable"))


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Settings, Settings]]:
    with replicated(LINE) as (primary, standby):
        yield settings_of(primary), settings_of(standby)


@pytest.fixture
def sessions(pair: tuple[Settings, Settings]) -> Iterator[tuple[Session, Session]]:
    """On the primary, with an empty table t, and on the standby."""
    with connect(pair[0], "t") as here, connect(pair[1], "t") as there:
        here.run("DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint, word text)")
        until(lambda: lag_is_0(here), "the standby's replay")
        yield here, there


def lag_is_0(session: Session) -> bool:
    seen = wal.read(session)
    return bool(seen.standbys) and seen.standbys[0].replayed == seen.written


def pause_replay(standby: Session) -> None:
    """Have the standby replay nothing more. It may replay some until it has noticed."""
    standby.run("SELECT pg_wal_replay_pause()")
    until(lambda: standby.run("SELECT pg_get_wal_replay_pause_state()") == [["paused"]], "the pause")


def load(spark: SparkSession, primary: Settings, max_replica_lag: float, publish: str = "auto") -> None:
    """Staged rows are published in slices. By parts, all WAL is that of copies."""
    df = spark.range(0, ROWS, 1, 16 if publish == "parts" else 4).selectExpr("id", "repeat('x', 80) AS word")
    load_dataframe(
        df, table="t", settings=primary, max_replica_lag=max_replica_lag, publish=publish, load_id=uuid.uuid4().hex
    )


def test_a_table_is_not_copied_into_itself_from_a_standby_unless_somebody_has_stopped_that(
    pair: tuple[Settings, Settings], sessions: tuple[Session, Session]
) -> None:
    here, there = sessions
    here.run("INSERT INTO t VALUES (1, 'x')")
    until(lambda: there.run("SELECT id FROM t") == [[1]], "the standby's replay")
    with pytest.raises(UsageError, match="into itself"):
        copy_table("t", source=pair[1], settings=pair[0])
    pause_replay(there)
    try:
        assert copy_table("t", source=pair[1], settings=pair[0]).rows_inserted == 1
    finally:
        there.run("SELECT pg_wal_replay_resume()")


def test_a_load_waits_while_the_replay_is_paused(
    spark: SparkSession, pair: tuple[Settings, Settings], sessions: tuple[Session, Session]
) -> None:
    here, there = sessions
    pause_replay(there)
    before = wal.read(here).written
    loading = threading.Thread(target=load, args=(spark, pair[0], 2.0))
    loading.start()
    try:
        time.sleep(5)
        assert loading.is_alive()
        assert wal.read(here).written < before + 10_000_000
    finally:
        there.run("SELECT pg_wal_replay_resume()")
        loading.join()
    assert here.run("SELECT count(*), sum(id) FROM t") == [[ROWS, ROWS * (ROWS - 1) // 2]]


@pytest.mark.parametrize("publish", ["auto", "parts"])
def test_a_standby_that_gets_the_wal_slowly_stays_within_the_lag(
    spark: SparkSession, pair: tuple[Settings, Settings], sessions: tuple[Session, Session], publish: str
) -> None:
    """Without a limit, it falls more than 6 s behind. A line, unlike a process, is as slow on a busy machine.

    The lag is the time that the line takes for what is not replayed: in a time that a process of the standby stands
    still, nothing is written.
    """
    here, _ = sessions
    with LINE.slowed(BYTES_PER_SECOND), watched(pair[0]) as lags:
        load(spark, pair[0], ALLOWED, publish)
        until(lambda: lag_is_0(here), "the standby's replay")
    assert 0 < max(lags) < ALLOWED
    assert here.run("SELECT count(*) FROM t") == [[ROWS]]


@contextmanager
def watched(primary: Settings) -> Iterator[list[float]]:
    """Yield the lags that another session sees meanwhile, in seconds of the line."""
    done = threading.Event()
    lags: list[float] = []

    def watch() -> None:
        with connect(primary, "watch") as session:
            while not done.wait(0.05):
                seen = wal.read(session)
                lags.extend((seen.written - standby.replayed) / BYTES_PER_SECOND for standby in seen.standbys)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lags
    finally:
        done.set()
        thread.join()


def test_who_may_not_see_the_standbys_is_told_the_privilege(
    spark: SparkSession, pair: tuple[Settings, Settings], sessions: tuple[Session, Session]
) -> None:
    here, _ = sessions
    here.run("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN")
    here.run("GRANT ALL ON SCHEMA public TO plain; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain")
    plain = Settings("postgres", "plain", pair[0].servers, tls=Tls("disable"))
    with pytest.raises(UsageError, match="plain may not see how far standbys are behind") as caught:
        load_dataframe(spark.range(1), table="u", settings=plain, max_replica_lag=1.0, publish="parts", load_id="u")
    assert 'GRANT pg_monitor TO "plain";' in caught.value.hint
    assert here.run("SELECT to_regclass('u')") == [[None]]  # parts are copied into a table that is created first
    here.run("DROP OWNED BY plain; DROP ROLE plain")
