"""Faults of tasks: each row is there once, nothing is left behind, and a rerun adds nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from faults import Cut, Trial, TrialOf, cuts_on_the_way_to
from faulty_load import ALL, ANOTHER, APPEND, BEGIN, NEW, OVERWRITE, PARTS
from pyspark.sql import SparkSession
from submitted import CLUSTER, Submitted, cluster_of_two_hosts

from jobs.dbaccess.conninfo.settings import Settings


def test_tasks_that_fail_around_their_claim_are_run_again_and_their_rows_are_there_once(trial_of: TrialOf) -> None:
    trial = trial_of(*ALL)
    cuts = [
        Cut("pgjobs load part 0 ", b"UPDATE "),  # after its COPY
        Cut("pgjobs load part 1 ", b"COMMIT"),  # before its claim is committed
        Cut("pgjobs load part 2 ", b"COMMIT", answered=True),  # after its claim is committed
    ]
    with cuts_on_the_way_to(trial.database, *cuts) as way:
        reports = trial.run(way)
    assert not any(report.already_loaded for report in reports)
    assert [len(cut.cut) for cut in cuts] == [len(ALL)] * 3
    trial.assert_loaded_once()


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


class Ended(NamedTuple):
    """A job that has ended, and its two loads."""

    job: Submitted
    first: Trial
    second: Trial


@pytest.fixture(scope="module")
def two_loads(spark: SparkSession, module_database: Settings, tmp_path_factory: pytest.TempPathFactory) -> Trial:
    """A trial of two loads, which have a job in common for each kind of cluster."""
    return Trial(spark, module_database, tmp_path_factory.mktemp("jobs"), ())


@pytest.fixture(scope="module")
def speculated(two_loads: Trial, two_hosts: str) -> Ended:
    """In the first load, both attempts at a part claim it at the same moment; in the second, one goes no further."""
    trial = two_loads.of(APPEND, OVERWRITE)
    with trial.submit_in_turn({"spark.master": two_hosts, **SPECULATION}, "stalling", "outrun_by_its_twin") as job:
        job.until(lambda: job.stalled("stalling") == 2 and trial.claimed_parts() == PARTS - 1, "the twin")
        with trial.locked(*trial.staging_tables("pgjobs_parts_")):
            job.go_on("stalling")
            job.until(lambda: trial.waiting_for_a_table() == 2, "both claims")
        assert job.status() == 0, job.output
    return Ended(job, replace(trial, loads=[APPEND]), replace(trial, loads=[OVERWRITE]))


def test_of_speculative_twins_that_claim_a_part_at_the_same_moment_one_is_published(speculated: Ended) -> None:
    speculated.first.assert_loaded_once()


def test_an_attempt_that_its_speculative_twin_outruns_neither_adds_rows_nor_holds_the_load_up(
    speculated: Ended,
) -> None:
    assert speculated.job.stalled("outrun_by_its_twin") == 2
    speculated.second.assert_loaded_once()


@pytest.fixture(scope="module")
def lost(two_loads: Trial) -> Ended:
    """The first load loses an executor with its shuffle, the second one an executor."""
    trial = two_loads.of(ANOTHER, NEW)
    with trial.submit_in_turn({"spark.master": CLUSTER}, "losing_a_shuffle", "losing_an_executor") as job:
        assert job.status() == 0, job.output
    return Ended(job, replace(trial, loads=[ANOTHER]), replace(trial, loads=[NEW]))


def test_an_executor_that_is_killed_costs_no_row_and_doubles_none(lost: Ended) -> None:
    assert (lost.job.folder / "losing_an_executor" / "killed").exists()
    lost.second.assert_loaded_once()


def test_a_lost_shuffle_of_an_input_that_is_dealt_by_chance_makes_the_load_start_over(lost: Ended) -> None:
    told, _, _ = lost.job.output.partition(f"{BEGIN}losing_an_executor")
    assert "Starting over" in told
    lost.first.assert_loaded_once()
