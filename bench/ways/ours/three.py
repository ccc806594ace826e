"""Three loads of a table each, one after the other: what a release of them is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.ways.ours import load

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases of all three together."""
    loads = [load.load_file(task, source, table) for table, source in task.three.items()]
    return {phase: sum(one.get(phase, 0.0) for one in loads) for phase in loads[0]}
