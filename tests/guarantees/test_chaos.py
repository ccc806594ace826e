"""A few trials of `make chaos`, one of each kind of job and of fault."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import jvm

ROOT = Path(__file__).parents[2]

PATIENCE = 500.0
"""Seconds; it takes less than a minute on a machine that does nothing else."""

SEEDS = {
    8: "a load loses an executor with its shuffle",
    10: "the wire of an extract stands still",
    3: "the connection of an incremental extract is cut as it moves its watermark",
    5: "the wire of a write by pgcopy stands still (on Spark 3.5: another job and another fault)",
}


def test_jobs_that_are_broken_lose_nothing_and_leave_nothing() -> None:
    command = [sys.executable, "-m", "chaos", "--seed", *map(str, SEEDS)]
    environ = {**jvm.environ(), "JDK_JAVA_OPTIONS": jvm.flags()}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    told = re.search(r"^(\d+) faults struck; 0 found something\.$", done.stdout, re.MULTILINE)
    assert told, done.stdout
    assert int(told[1]) >= len(SEEDS) - 1
