"""Faults of driver and server: a load is there whole or not at all, nothing is left behind, and the rerun mends it."""

from __future__ import annotations

import shutil
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from faults import (
    CLUSTER,
    CREATE,
    LOAD_ID,
    RETRYING,
    Cut,
    assert_a_rerun_does_nothing,
    assert_a_rerun_loads,
    assert_loaded_once,
    assert_nothing_loaded,
    claimed_parts,
    locked,
    rerun,
    staging_tables,
    submit_load,
    submit_table,
    until,
    waiting_for_a_table,
)
from faulty_load import PARTS, ROWS
from pyspark.sql import SparkSession

from jobs.dbaccess.errors import ConnectionFailed, LoadError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.resolve import resolve
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.sources import Given
from servermgr.postgres import Manager

INTERRUPTED = "error: interrupted. A load is done whole or not at all: run it again to be sure."

ENDLESS = 10**12
"""Rows, of a load that is interrupted."""


def test_a_driver_that_is_killed_before_publish_loads_nothing_and_the_rerun_clears_up(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_load("stalling", CLUSTER, database, tmp_path) as job:
        job.until(lambda: job.stalled() and claimed_parts(session) == PARTS - 1, "the other parts")
        job.kill_driver()
    assert_nothing_loaded(session)
    assert_a_rerun_loads(spark, session, database)


def test_a_driver_that_is_killed_in_publish_loads_nothing_and_the_rerun_clears_up(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_load("whole", RETRYING, database, tmp_path) as job, locked(database, "t"):
        job.until(lambda: waiting_for_a_table(session), "publish")
        job.kill_driver()
    assert_nothing_loaded(session)
    assert_a_rerun_loads(spark, session, database)


def test_a_driver_whose_jvm_is_killed_clears_up_itself(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_load("stalling", CLUSTER, database, tmp_path) as job:
        job.until(job.stalled, "the copying")
        job.kill_jvm()
        until(lambda: not staging_tables(session), "the dropping of staging")
    assert_nothing_loaded(session)
    assert_a_rerun_loads(spark, session, database)


@pytest.mark.parametrize("create", [CREATE, ""], ids=["into a table", "into a new table"])
@pytest.mark.parametrize("answered", [False, True], ids=["COMMIT is lost", "its answer is lost"])
def test_a_connection_that_breaks_when_publish_commits_neither_loses_nor_doubles_rows(
    spark: SparkSession, session: Session, database: Settings, answered: bool, create: str
) -> None:
    session.run(create or "SELECT 1")
    cut = Cut(f"pgjobs load_table {LOAD_ID}", b"COMMIT", after=b"INSERT INTO table_updates", answered=answered)
    with cut.on_the_way_to(database) as way:
        report = rerun(spark, way)
    assert cut.done.is_set()
    assert not report.already_loaded
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


@pytest.mark.parametrize("create", [CREATE, ""], ids=["into a table", "into a new table"])
def test_a_driver_whose_connection_breaks_while_rows_are_copied_loads_all_the_same(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, create: str
) -> None:
    session.run(create or "SELECT 1")
    with submit_load("stalling", RETRYING, database, tmp_path) as job:
        job.until(job.stalled, "the copying")
        terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
        session.run(terminate, f"pgjobs load_table {LOAD_ID}")
        job.go_on()
        assert job.status() == 0, job.output
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


def test_ctrl_c_while_rows_are_copied_ends_the_load_with_a_line_and_nothing_left(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_table(ENDLESS, database, tmp_path) as job:
        job.until(lambda: session.run("SELECT pid FROM pg_stat_progress_copy"), "the copying")
        job.interrupt()
        assert job.status() != 0
    assert job.told == [INTERRUPTED]
    assert_nothing_loaded(session)
    assert staging_tables(session) == []
    assert_a_rerun_loads(spark, session, database)


def test_ctrl_c_in_publish_ends_the_load_with_a_line_and_nothing_left(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_table(ROWS, database, tmp_path) as job, locked(database, "t"):
        job.until(lambda: waiting_for_a_table(session), "publish")
        job.interrupt()
        assert job.status() != 0
    assert job.told == [INTERRUPTED]
    assert_nothing_loaded(session)
    assert staging_tables(session) == []
    assert_a_rerun_loads(spark, session, database)


@pytest.fixture
def fragile() -> Iterator[Manager]:
    """A server that a test may stop."""
    directory = Path(tempfile.mkdtemp(prefix="pgjobs-faults-"))
    directory.chmod(0o755)  # as root, the server runs as another user
    try:
        with Manager("127.0.0.1", 0, directory / "data", initialize=True) as manager:
            yield manager
    finally:
        shutil.rmtree(directory)


def crash(server: Manager) -> None:
    """Stop as `pg_ctl stop -m immediate` does, and start again."""
    assert server.process is not None
    server.process.send_signal(signal.SIGQUIT)
    server.wait()
    server.start()


def test_a_crash_of_the_server_while_rows_are_copied_into_a_table_fails_the_load_and_leaves_nothing(
    spark: SparkSession, fragile: Manager, tmp_path: Path
) -> None:
    """The rows that were staged before are gone."""
    database = resolve(Given(url=fragile.url()), {}).settings
    with connect(database, "before") as session, submit_load("stalling", RETRYING, database, tmp_path) as job:
        session.run(CREATE)
        job.until(lambda: job.stalled() and claimed_parts(session) == PARTS - 1, "the other parts")
        crash(fragile)
        job.go_on()
        assert job.status() == 1
    assert "the server crashed meanwhile. Nothing was loaded. Run the load again." in job.told[-1]
    with connect(database, "after") as session:
        assert_nothing_loaded(session)
        assert staging_tables(session) == []
        assert_a_rerun_loads(spark, session, database)


def test_a_crash_of_the_server_while_rows_are_copied_into_a_new_table_costs_no_row(
    spark: SparkSession, fragile: Manager, tmp_path: Path
) -> None:
    """These rows are staged in a table that survives: it is to become the target."""
    database = resolve(Given(url=fragile.url()), {}).settings
    with connect(database, "before") as session, submit_load("stalling", RETRYING, database, tmp_path) as job:
        job.until(lambda: job.stalled() and claimed_parts(session) == PARTS - 1, "the other parts")
        crash(fragile)
        job.go_on()
        assert job.status() == 0, job.output
    with connect(database, "after") as session:
        assert_loaded_once(session)
        assert_a_rerun_does_nothing(spark, session, database)


def test_a_crash_of_the_server_in_publish_fails_the_load_and_leaves_nothing(
    spark: SparkSession, fragile: Manager
) -> None:
    database = resolve(Given(url=fragile.url()), {}).settings
    with connect(database, "before") as session, ThreadPoolExecutor() as pool:
        session.run(CREATE)
        with suppress(ConnectionFailed), locked(database, "t"):
            load = pool.submit(rerun, spark, database)
            until(lambda: waiting_for_a_table(session), "publish")
            crash(fragile)
    with pytest.raises(LoadError, match="the server crashed meanwhile"):
        load.result()
    with connect(database, "after") as session:
        assert_nothing_loaded(session)
        assert staging_tables(session) == []
        assert_a_rerun_loads(spark, session, database)
