"""Three loads of a table each, one after the other: what a release of them is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.ways.ours import load as pgjobs

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases of all three together."""
    loads = [pgjobs.load(task, source, table) for table, source in task.three.items()]
    return {phase: sum(load.get(phase, 0.0) for load in loads) for phase in loads[0]}
