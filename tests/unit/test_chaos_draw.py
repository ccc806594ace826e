"""make chaos: what it tries, told by its plan alone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from chaos.judge.states import State, final, possible
from chaos.plan import coverage
from chaos.plan.draw import DECK, draw
from chaos.plan.flows import FAULTS, FLOWS, TARGETS, WRITES
from chaos.plan.steps import COMMITS, STEPS, step_of

ROOT = Path(__file__).parents[2]
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


def test_guarantees_has_the_table_of_the_plan() -> None:
    assert coverage.table(TRIALS) in (ROOT / "docs" / "guarantees.md").read_text()


def test_each_fault_is_described() -> None:
    assert set(coverage.WHAT) == set(coverage.FAULTS_IN_ORDER)


@pytest.mark.parametrize(
    ("statement", "done", "step"),
    [
        ('COPY "shop"."pgjobs_rows_1" ("id") FROM STDIN', (), "copy part"),
        ('INSERT INTO "shop"."target" AS target ("id")', (), "move rows"),
        ("COMMIT", ("claim part", "count part"), "commit part"),
        ("COMMIT", ("lock", "record load", "move rows"), "commit publish"),
        ("COMMIT", ("copy rows", "record load", "count part"), "commit publish"),
        ("COMMIT", ("copy rows", "record part", "count part"), "commit part"),
        ("COMMIT", ("move watermark",), "commit watermark"),
        ("COMMIT", ("record load", "keep result"), "commit query"),
        ('DROP TABLE IF EXISTS "shop"."pgjobs_result_1"', (), "drop result"),
        ("COMMIT", (), ""),
        ("SELECT 1", (), ""),
    ],
)
def test_a_step_is_told_by_its_statement_and_its_transaction(statement: str, done: tuple[str, ...], step: str) -> None:
    assert step_of(statement, done) == step


@pytest.mark.parametrize("fault", ["truncate", "swap by rename", "cut"])
def test_a_load_is_whole_before_or_after_what_a_neighbour_did_or_not_there(fault: str) -> None:
    trial = next(draw(seed) for seed in range(1, 3001) if _appends(draw(seed).flow, draw(seed).mode, fault, seed))
    old = trial_rows(possible(trial, [], published=False, neighbour=False))
    [loaded] = [[(-1, None, None, None, None, None, None)]]
    published = possible(trial, loaded, published=True, neighbour=True)
    assert {(len(target), len(swapped)) for target, swapped in published} == {
        "truncate": {(1, 0), (0, 0)},
        "swap by rename": {(old + 1, old), (old, old + 1)},
        "cut": {(old + 1, 0)},
    }[fault]
    [(target, _)] = final(trial, loaded, published=False, neighbour=True)
    assert len(target) == (1 if fault == "truncate" else old + 1)


def _appends(flow: str, mode: str, fault: str, seed: int) -> bool:
    return flow in WRITES and mode == "append" and draw(seed).fault == fault and draw(seed).target != "new"


def trial_rows(states: list[State]) -> int:
    [(target, _)] = states
    return len(target)


ONLY_TELL_TIMES = ("cli/outcome.py", "flows/doctor/way.py", "lineage/run_events.py")
"""Modules that say when a job started and ended, or how long a certificate is valid. They decide nothing by it."""


def test_no_job_reads_a_clock_that_may_jump() -> None:
    """`make chaos` lets the server's clock jump, for a driver under libfaketime does not run."""
    jobs = ROOT / "src" / "jobs"
    for path in set(jobs.rglob("*.py")) - {jobs / name for name in ONLY_TELL_TIMES}:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert not re.fullmatch(
                    r"time\.(time|time_ns)|(datetime|date)\.(now|utcnow|today)", ast.unparse(node)
                ), path
