"""make chaos lets the server's clock jump: no job may depend on a clock that does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]

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
