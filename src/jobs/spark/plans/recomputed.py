"""Detects whether parts of a job may have read different results of the same shuffle.

Spark recomputes lost outputs of a shuffle, and only those. If the input depends on randomness or on the order in which
rows arrive (rand, limit, dropDuplicates, row_number with ties), the recomputed outputs may distribute rows differently,
so that what was read before and after does not fit together: rows are lost or duplicated. Spark itself detects this for
few inputs, and only within a job.

The scheduler's table of map outputs shows it, by the ids of the tasks that wrote them. Ids increase, and a task starts
only when all outputs that it reads exist. So an output with a higher id than a task that reads the shuffle was
recomputed after that task had begun.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pyspark import RDD


@dataclass(frozen=True)
class Tasks:
    """The first and the last id of a set of tasks: those whose outputs count."""

    first: int
    last: int

    @classmethod
    def of(cls, numbers: Iterable[int]) -> Tasks | None:
        """Return the range of the ids; None if there are none."""
        ids = list(numbers)
        return cls(min(ids), max(ids)) if ids else None


Shuffles = dict[int, "tuple[Tasks | None, frozenset[int]]"]
"""By id of the shuffle: the tasks whose outputs it holds, and the shuffles that they read."""


def was_recomputed(rdd: RDD[Any], attempts: Iterable[int]) -> bool:
    """Return whether a shuffle below the RDD was recomputed after a counting task had begun to read it.

    Args:
        rdd: The computed RDD.
        attempts: The ids of the tasks that computed its partitions.
    """
    # PySpark has no public access to an RDD's lineage, or to the outputs of its shuffles.
    jvm_rdd: Any = rdd._jrdd.rdd()  # noqa: SLF001 - see above
    tracker: Any = rdd.context._jsc.sc().env().mapOutputTracker()  # noqa: SLF001 - see above
    shuffles: Shuffles = {}
    read = _explore(jvm_rdd, tracker, shuffles)
    return is_torn(Tasks.of(attempts), read, shuffles)


def reads_shuffles(rdd: RDD[Any]) -> bool:
    """Return whether an RDD reads any shuffle, itself or below."""
    jvm_rdd: Any = rdd._jrdd.rdd()  # noqa: SLF001 - as in was_recomputed
    tracker: Any = rdd.context._jsc.sc().env().mapOutputTracker()  # noqa: SLF001 - as in was_recomputed
    return bool(_explore(jvm_rdd, tracker, {}))


def is_torn(readers: Tasks | None, read: frozenset[int], shuffles: Shuffles) -> bool:
    """Return whether one of these tasks, or of those whose outputs they read, began before outputs that it reads."""
    return _began_before(readers, read, shuffles) or any(
        _began_before(tasks, below, shuffles) for tasks, below in shuffles.values()
    )


def _began_before(readers: Tasks | None, read: frozenset[int], shuffles: Shuffles) -> bool:
    outputs = [shuffles[shuffle][0] for shuffle in read]
    return readers is not None and any(tasks is not None and tasks.last > readers.first for tasks in outputs)


def _explore(rdd: Any, tracker: Any, shuffles: Shuffles) -> frozenset[int]:  # noqa: ANN401 - the JVM's objects
    """Return the shuffles that an RDD reads. They, and those below them, are added to `shuffles`."""
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
    """Yield the ids of the tasks that wrote a shuffle's outputs, including outputs that were lost since."""
    shuffle_status = tracker.shuffleStatuses().get(shuffle)
    if shuffle_status.isDefined():
        outputs, lost = shuffle_status.get().mapStatuses(), shuffle_status.get().mapStatusesDeleted()
        for index, output in enumerate(outputs):
            status = lost[index] if output is None else output
            if status is not None:
                yield int(status.mapId())
