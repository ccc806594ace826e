"""Whether parts of a job can have seen different outcomes of one shuffle.

Spark computes lost outputs of a shuffle anew, and only those. Of an input that depends on chance or on the order in
which rows arrive (rand, limit, dropDuplicates, row_number with ties), they may then deal rows out in another way, so
that what was read before and what is read later do not fit together: rows are lost or doubled. Spark itself notices
that for few inputs, and within a job only.

The scheduler's own table of map outputs tells, by the numbers that it gave the tasks which wrote them. Numbers grow,
and a task starts only when all outputs are there that it reads. So an output with a higher number than a task that
reads the shuffle was computed anew after that task began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark import RDD


@dataclass(frozen=True)
class Tasks:
    """The numbers of the first and the last of some tasks: those whose outputs count."""

    first: int
    last: int

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Tasks | None:
        """None of no tasks."""
        found = list(numbers)
        return cls(min(found), max(found)) if found else None


Shuffles = dict[int, "tuple[Tasks | None, frozenset[int]]"]
"""By number: the tasks whose outputs a shuffle holds, and the shuffles that they read."""


def was_recomputed(rdd: RDD[Any], attempts: Iterable[int]) -> bool:
    """Whether a shuffle that the RDD is made of was computed anew after a task that counts had begun to read it.

    Args:
        rdd: what was computed.
        attempts: the numbers of the tasks that made its partitions.
    """
    # PySpark has no public way to an RDD's lineage, nor to the outputs of its shuffles.
    jvm_rdd: Any = rdd._jrdd.rdd()  # noqa: SLF001 - see above
    tracker: Any = rdd.context._jsc.sc().env().mapOutputTracker()  # noqa: SLF001 - see above
    shuffles: Shuffles = {}
    read = _explore(jvm_rdd, tracker, shuffles)
    return is_torn(Tasks.of(attempts), read, shuffles)


def is_torn(readers: Tasks | None, read: frozenset[int], shuffles: Shuffles) -> bool:
    """Whether one of these tasks, or of those whose outputs they read, began before the outputs that it reads."""
    return _began_before(readers, read, shuffles) or any(
        _began_before(tasks, below, shuffles) for tasks, below in shuffles.values()
    )


def _began_before(readers: Tasks | None, read: frozenset[int], shuffles: Shuffles) -> bool:
    outputs = [shuffles[shuffle][0] for shuffle in read]
    return readers is not None and any(tasks is not None and tasks.last > readers.first for tasks in outputs)


def _explore(rdd: Any, tracker: Any, shuffles: Shuffles) -> frozenset[int]:  # noqa: ANN401 - the JVM's objects
    """The shuffles that an RDD reads; they, and those below, are noted."""
    read: set[int] = set()
    seen: set[int] = set()
    waiting = [rdd]
    while waiting:
        dependencies = waiting.pop().dependencies()
        for dependency in (dependencies.apply(index) for index in range(dependencies.size())):
            below = dependency.rdd()
            if dependency.getClass().getName() == "org.apache.spark.ShuffleDependency":
                shuffle = dependency.shuffleId()
                read.add(shuffle)
                if shuffle not in shuffles:
                    shuffles[shuffle] = (None, frozenset())
                    shuffles[shuffle] = (Tasks.of(_writers(tracker, shuffle)), _explore(below, tracker, shuffles))
            elif below.id() not in seen:
                seen.add(below.id())
                waiting.append(below)
    return frozenset(read)


def _writers(tracker: Any, shuffle: int) -> Iterator[int]:  # noqa: ANN401 - the JVM's object
    """The numbers of the tasks that wrote a shuffle's outputs; of an output that is lost since, too."""
    found = tracker.shuffleStatuses().get(shuffle)
    if found.isDefined():
        outputs, lost = found.get().mapStatuses(), found.get().mapStatusesDeleted()
        for index, output in enumerate(outputs):
            status = lost[index] if output is None else output
            if status is not None:
                yield int(status.mapId())
