"""A few trials of `make chaos`, each of another kind of fault."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 500.0
"""Seconds; it takes less than a minute on a machine that does nothing else."""


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chaos", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE)


SEEDS = {8: "a load loses an executor and its shuffle"}


def test_jobs_that_are_broken_lose_and_leave_nothing() -> None:
    done = chaos("--seed", *map(str, SEEDS))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(SEEDS)} faults struck; 0 found something" in done.stdout, done.stdout
