"""Faults of tasks: each row is there once, nothing is left behind, and a rerun adds nothing."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faults import (
    CLUSTER,
    CREATE,
    RETRYING,
    Cut,
    assert_a_rerun_does_nothing,
    assert_loaded_once,
    claimed_parts,
    cluster_of_two_hosts,
    locked,
    parts_table,
    rerun,
    staging_tables,
    submit_load,
    until,
    waiting_for_a_table,
)
from faulty_load import PARTS
from pyspark.sql import SparkSession

from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Cut("pgjobs load_table part 1 ", b"UPDATE "), id="after its COPY"),
        pytest.param(Cut("pgjobs load_table part 1 ", b"COMMIT"), id="before its claim is committed"),
        pytest.param(Cut("pgjobs load_table part 1 ", b"COMMIT", answered=True), id="after its claim is committed"),
    ],
)
def test_a_task_that_fails_is_run_again_and_its_rows_are_there_once(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, cut: Cut
) -> None:
    session.run(CREATE)
    with cut.on_the_way_to(database) as way, submit_load("whole", RETRYING, way, tmp_path) as job:
        assert job.status() == 0, job.output
    assert cut.done.is_set()
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


@pytest.fixture(scope="module")
def two_hosts() -> Iterator[str]:
    """The address of a cluster. Speculation wants another host, which a local-cluster has not."""
    with tempfile.TemporaryDirectory(prefix="pgjobs-cluster-") as folder, cluster_of_two_hosts(Path(folder)) as master:
        yield master


SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.multiplier": "1.1",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.minTaskRuntime": "100ms",
}


def test_of_speculative_twins_that_claim_a_part_at_the_same_moment_one_does(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, two_hosts: str
) -> None:
    session.run(CREATE)
    with submit_load("stalling", two_hosts, database, tmp_path, **SPECULATION) as job:
        job.until(lambda: job.stalled() == 2 and claimed_parts(session) == PARTS - 1, "the twin")
        with locked(database, parts_table(session)):
            job.go_on()
            job.until(lambda: waiting_for_a_table(session) == 2, "both claims")
        assert job.status() == 0, job.output
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


def test_an_attempt_that_its_speculative_twin_outruns_neither_adds_rows_nor_holds_the_load_up(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, two_hosts: str
) -> None:
    session.run(CREATE)
    with submit_load("outrun_by_its_twin", two_hosts, database, tmp_path, **SPECULATION) as job:
        assert job.status() == 0, job.output
    assert job.stalled() == 2
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


def test_an_executor_that_is_killed_costs_no_row_and_doubles_none(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_load("losing_an_executor", CLUSTER, database, tmp_path) as job:
        assert job.status() == 0, job.output
    assert (tmp_path / "killed").exists()
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)


def test_a_lost_shuffle_of_an_input_that_is_dealt_by_chance_makes_the_load_start_over(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_load("losing_a_shuffle", CLUSTER, database, tmp_path) as job:
        assert job.status() == 0, job.output
    assert_loaded_once(session)
    assert "Starting over" in job.output
    assert_a_rerun_does_nothing(spark, session, database)


def test_the_same_load_id_twice_at_once_loads_once(
    spark: SparkSession, session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    session.run(CREATE)
    with ThreadPoolExecutor() as pool:
        # One waits for the lock, in publish, and the other for the first.
        with locked(database, "t"), caplog.at_level(logging.WARNING):
            loads = [pool.submit(rerun, spark, database) for _ in range(2)]
            until(lambda: "Another run holds the load id" in caplog.text and staging_tables(session), "both loads")
        reports = [load.result() for load in loads]
    assert sorted(report.already_loaded for report in reports) == [False, True]
    assert_loaded_once(session)
    assert_a_rerun_does_nothing(spark, session, database)
