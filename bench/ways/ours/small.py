"""The smallest load, again and again in one session: what a load costs beside its rows."""

from __future__ import annotations

import time
from statistics import median
from typing import TYPE_CHECKING

from bench.plan.catalogue import SMALLEST
from bench.ways.ours import load

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load some times, and return the median seconds of a load and of its phases."""
    loads = []
    for _ in range(SMALLEST.loads):
        start = time.monotonic()
        phases = load.run(task)
        loads.append({**phases, "load": time.monotonic() - start})
    return {name: median(one[name] for one in loads) for name in loads[0]}
