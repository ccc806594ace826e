"""make chaos: what it tries, told by its plan alone."""

from __future__ import annotations

import pytest

from chaos.plan.deck import DECK
from chaos.plan.draw import draw
from chaos.plan.flows import FAULTS, FLOWS, TARGETS
from chaos.plan.steps import COMMITS, STEPS

SEEDS = 431
"""So many meet each job with each of its faults."""

TRIALS = [draw(seed) for seed in range(1, SEEDS + 1)]


def test_the_first_seeds_meet_each_job_with_each_of_its_faults() -> None:
    assert {(trial.flow, trial.fault) for trial in TRIALS} == {(flow, one) for flow in FLOWS for one in FAULTS[flow]}
    assert len(DECK) <= len(TRIALS)


@pytest.mark.parametrize("job", ["load", "pgcopy write"])
def test_the_first_seeds_meet_each_mode_and_each_kind_of_table(job: str) -> None:
    met = {(trial.mode, trial.target) for trial in TRIALS if trial.flow == job}
    assert met >= {(mode, target) for mode, targets in TARGETS.items() for target in targets}


def test_some_loads_write_only_what_differs() -> None:
    trials = [draw(seed) for seed in range(1, 1001)]
    assert {trial.target for trial in trials if trial.difference} == {"new", "indexed", "partitioned"}
    assert {trial.target for trial in trials if trial.skip} == {"new", "indexed", "partitioned"}
    assert not [trial for trial in trials if trial.difference and trial.slice]
    assert {trial.flow for trial in trials if trial.supplies} == {"load", "partitions"}


def test_no_load_creates_a_partition_of_a_table_that_is_swapped_for_one_without() -> None:
    swapped = [trial for trial in (draw(seed) for seed in range(1, 6001)) if trial.fault == "swap by rename"]
    assert "partitioned" in {trial.target for trial in swapped if trial.flow == "load"}
    assert not [trial for trial in swapped if trial.supplies]


def test_faults_strike_at_each_step_at_statements_and_in_copy() -> None:
    met = {(trial.flow, trial.point.unit) for trial in (draw(seed) for seed in range(1, 6001))}
    assert met >= {(flow, step) for flow, steps in STEPS.items() for step in steps}
    assert met >= {(flow, unit) for flow in FLOWS for unit in ("statement", "byte")}


def test_a_stream_is_not_asked_to_replace_rows() -> None:
    assert {trial.mode for trial in TRIALS if trial.flow == "pgcopy stream write"} == {"append", "upsert", "ignore"}


def test_a_seed_is_a_trial() -> None:
    assert [draw(seed) for seed in range(1, SEEDS + 1)] == TRIALS


def test_the_answer_to_a_commit_is_lost_at_the_commit() -> None:
    lost = [trial for trial in TRIALS if trial.fault == "lose answer to COMMIT"]
    assert {trial.flow for trial in lost} == set(COMMITS)
    assert all(trial.point.unit == COMMITS[trial.flow] and trial.point.answered for trial in lost)


def test_what_cannot_be_had_is_left_out_and_something_else_tried() -> None:
    lacking = {"pgcopy write", "pgcopy read", "pgcopy stream write", "pgcopy stream read", "clock jumps", "kill driver"}
    trials = [draw(seed, lacking) for seed in range(1, SEEDS + 1)]
    assert not {trial.flow for trial in trials} & lacking
    assert not {trial.fault for trial in trials} & lacking
    assert [new for old, new in zip(TRIALS, trials) if old.flow not in lacking and old.fault not in lacking] == [
        old for old in TRIALS if old.flow not in lacking and old.fault not in lacking
    ]
