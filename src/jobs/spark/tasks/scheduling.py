"""Runs the partitions of an RDD as Spark jobs, a limited number at a time.

The driver submits a job for each partition when another one ends. So no partitions are merged (as coalesce would), and
no task occupies an executor's core while it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from time import sleep
from typing import Protocol, TypeVar

from pyspark import RDD, SparkContext

T = TypeVar("T")

PERIOD = 0.2
"""Seconds until a gate that is closed is asked again."""


class Gate(Protocol):
    """Decides when partitions may start."""

    def may_start(self, running: int) -> bool:
        """Return whether another one may start beside those that run."""

    def ended(self) -> None:
        """Take note that one has ended."""


@contextmanager
def job_group(context: SparkContext, name: str, description: str) -> Iterator[None]:
    """Name the jobs that the block submits, and cancel those that still run if it raises.

    After the block, the thread's jobs belong to the caller's own job group again.
    """
    before = {name: context.getLocalProperty(name) for name in _GROUP_PROPERTIES}
    context.setJobGroup(name, description, interruptOnCancel=True)
    try:
        yield
    except BaseException:
        context.cancelJobGroup(name)
        raise
    finally:
        for property_, value in before.items():
            context.setLocalProperty(property_, value)  # type: ignore[arg-type] # None unsets it


_GROUP_PROPERTIES = ("spark.jobGroup.id", "spark.job.description", "spark.job.interruptOnCancel")
"""The properties that setJobGroup sets. The caller may have a job group of its own."""


def run_partitions(
    rdd: RDD[T], partitions: Sequence[int], at_once: int, group: str, gate: Gate | None = None
) -> list[T]:
    """Compute some partitions of an RDD, at most so many at a time, each when the gate is open.

    Returns:
        The results of the attempts that Spark accepted, one for each partition.

    Raises:
        Exception: Spark's error for the first partition that fails. The others are cancelled.
    """
    context = rdd.context
    if len(partitions) <= at_once and gate is None:
        return context.runJob(rdd, _drained, partitions)

    def run_one(partition: int) -> list[T]:
        with job_group(context, group, f"part {partition}, one of {len(partitions)}"):
            return context.runJob(rdd, _drained, [partition])

    with ThreadPoolExecutor(at_once, thread_name_prefix="pgjobs-part") as pool:
        jobs: list[Future[list[T]]] = []
        running: set[Future[list[T]]] = set()
        try:
            for partition in partitions:
                if gate is not None:
                    _wait_for(gate, running, at_once)
                jobs.append(pool.submit(run_one, partition))
                running.add(jobs[-1])
            wait(jobs, return_when=FIRST_EXCEPTION)
            failed = next((job for job in jobs if job.done() and job.exception() is not None), None)
            return [result for job in ([failed] if failed else jobs) for result in job.result()]
        except BaseException:
            for job in jobs:
                job.cancel()
            context.cancelJobGroup(group)
            raise


def _wait_for(gate: Gate, running: set[Future[list[T]]], at_once: int) -> None:
    """Wait until another job may start, and remove those that end from the set.

    Raises:
        Exception: A job has failed.
    """
    while True:
        ended = {job for job in running if job.done()}
        running -= ended
        for job in ended:
            job.result()
            gate.ended()
        # The gate is asked even if no connection is free, because it measures what the running jobs cause.
        if gate.may_start(len(running)) and len(running) < at_once:
            return
        if running:
            wait(running, timeout=PERIOD, return_when=FIRST_COMPLETED)
        else:
            sleep(PERIOD)


def _drained(results: Iterable[T]) -> list[T]:
    return list(results)
