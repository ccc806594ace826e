"""Run an RDD's partitions as Spark jobs, a bounded number at once.

Bounding is done by the driver, which submits a job for each partition as another one ends: no partition is merged
with another (as coalesce would), and no task waits in an executor with a core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import TypeVar

from pyspark import RDD, SparkContext

T = TypeVar("T")


@contextmanager
def job_group(context: SparkContext, name: str, description: str) -> Iterator[None]:
    """Name the jobs that the block submits, and cancel those that still run when it raises.

    Afterwards the thread's jobs are the caller's again, in the group that it has chosen.
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
"""What setJobGroup sets: the caller may have a group of its own."""


def run_partitions(rdd: RDD[T], partitions: int, at_once: int, group: str) -> list[T]:
    """Compute every partition of an RDD, at most so many at once.

    Returns:
        What the attempts gave that Spark accepted: one for each partition.

    Raises:
        Exception: as Spark has it, of the first partition that fails; the others are cancelled.
    """
    if partitions <= at_once:
        return rdd.collect()
    context = rdd.context

    def run_one(partition: int) -> list[T]:
        with job_group(context, group, f"part {partition} of {partitions}"):
            return context.runJob(rdd, _drained, [partition])

    with ThreadPoolExecutor(at_once, thread_name_prefix="pgjobs-part") as pool:
        jobs = [pool.submit(run_one, partition) for partition in range(partitions)]
        try:
            wait(jobs, return_when=FIRST_EXCEPTION)
            failed = next((job for job in jobs if job.done() and job.exception() is not None), None)
            return [result for job in ([failed] if failed else jobs) for result in job.result()]
        except BaseException:
            for job in jobs:
                job.cancel()
            context.cancelJobGroup(group)
            raise


def _drained(results: Iterable[T]) -> list[T]:
    return list(results)
