"""Faults of tasks: each row is there once, nothing is left behind, and a rerun adds nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults import Cut, TrialOf, cuts_on_the_way_to
from faulty_load import ALL, APPEND, PARTS
from submitted import CLUSTER, RETRYING, cluster_of_two_hosts


def test_tasks_that_fail_around_their_claim_are_run_again_and_their_rows_are_there_once(trial_of: TrialOf) -> None:
    trial = trial_of(*ALL)
    cuts = [
        Cut("pgjobs load part 0 ", b"UPDATE "),  # after its COPY
        Cut("pgjobs load part 1 ", b"COMMIT"),  # before its claim is committed
        Cut("pgjobs load part 2 ", b"COMMIT", answered=True),  # after its claim is committed
    ]
    with cuts_on_the_way_to(trial.database, *cuts) as way, trial.submit("whole", RETRYING, database=way) as job:
        assert job.status() == 0, job.output
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


def test_of_speculative_twins_that_claim_a_part_at_the_same_moment_one_is_published(
    trial_of: TrialOf, two_hosts: str
) -> None:
    trial = trial_of(APPEND)
    with trial.submit("stalling", two_hosts, SPECULATION) as job:
        job.until(lambda: job.stalled() == 2 and trial.claimed_parts() == PARTS - 1, "the twin")
        with trial.locked(*trial.staging_tables("pgjobs_parts_")):
            job.go_on()
            job.until(lambda: trial.waiting_for_a_table() == 2, "both claims")
        assert job.status() == 0, job.output
    trial.assert_loaded_once()


def test_an_attempt_that_its_speculative_twin_outruns_neither_adds_rows_nor_holds_the_load_up(
    trial_of: TrialOf, two_hosts: str
) -> None:
    trial = trial_of(APPEND)
    with trial.submit("outrun_by_its_twin", two_hosts, SPECULATION) as job:
        assert job.status() == 0, job.output
    assert job.stalled() == 2
    trial.assert_loaded_once()


def test_an_executor_that_is_killed_costs_no_row_and_doubles_none(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit("losing_an_executor", CLUSTER) as job:
        assert job.status() == 0, job.output
    assert (job.folder / "killed").exists()
    trial.assert_loaded_once()


def test_a_lost_shuffle_of_an_input_that_is_dealt_by_chance_makes_the_load_start_over(trial_of: TrialOf) -> None:
    trial = trial_of(APPEND)
    with trial.submit("losing_a_shuffle", CLUSTER) as job:
        assert job.status() == 0, job.output
    assert "Starting over" in job.output
    trial.assert_loaded_once()
