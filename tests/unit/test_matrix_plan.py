"""What `make matrix` tries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from matrix import plan
from setup_rules import SPARKS

ROOT = Path(__file__).parents[2]


def test_each_server_each_spark_and_each_python_is_tried() -> None:
    trials = plan.trials()
    assert {trial.postgres for trial in trials if trial.tests == "postgres"} == set(plan.POSTGRESES)
    assert {trial.python for trial in trials if trial.tests == "postgres"} == set(plan.PYTHONS)
    assert {(trial.spark, trial.python) for trial in trials if trial.tests == "core"} == {
        (spark, python) for spark, pythons in plan.SPARKS.items() for python in pythons
    }
    assert {trial.spark for trial in trials if trial.tests == "whole"} == set(plan.SPARKS)
    assert len({trial.name for trial in trials}) == len(trials)


def test_no_spark_is_tried_with_a_python_that_it_does_not_know() -> None:
    assert all(trial.python in plan.SPARKS[trial.spark] for trial in plan.trials())


def test_each_version_can_be_had() -> None:
    servers_pinned = json.loads((ROOT / "matrix" / "npm" / "package-lock.json").read_text())["packages"]
    for version in plan.POSTGRESES:
        entry = servers_pinned[f"node_modules/postgres-{version}"]
        assert entry["version"].startswith(f"{version}.")
        assert entry["integrity"].startswith("sha512-")
    assert tuple(plan.SPARKS) == SPARKS


def test_the_paths_of_each_trial_are_there() -> None:
    paths = [path for trial in plan.trials() for path in trial.paths]
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        ([], len(plan.trials())),
        (["postgres-*"], 5),
        (["core-*-python-3.9", "whole-*-spark-4.1-*"], 3),
        (["*-spark-3.5-*"], 4),
    ],
)
def test_pairs_are_chosen_by_name(patterns: list[str], chosen: int) -> None:
    assert len(plan.choose(patterns, plan.trials())) == chosen


def test_a_pair_that_there_is_not_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"PAIRS=core-9 names none of these:\n  postgres-postgres-14-"):
        plan.choose(["core-9"], plan.trials())
