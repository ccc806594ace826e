"""make chaos: the table of jobs and faults in the documentation."""

from __future__ import annotations

from pathlib import Path

from chaos.plan import coverage
from chaos.plan.draw import draw

ROOT = Path(__file__).parents[2]
SEEDS = 431
"""So many meet each job with each of its faults."""


def test_guarantees_has_the_table_of_the_plan() -> None:
    assert coverage.table(map(draw, range(1, SEEDS + 1))) in (ROOT / "docs" / "guarantees.md").read_text()


def test_each_fault_is_described() -> None:
    assert set(coverage.WHAT) == set(coverage.FAULTS_IN_ORDER)
