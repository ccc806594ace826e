"""Runs the partitions of an RDD as Spark jobs, a limited number at a time.

The driver submits a job for each partition when another one ends. So no partitions are merged (as coalesce would), and
no task occupies an executor's core while it waits.
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


def run_partitions(rdd: RDD[T], partitions: int, at_once: int, group: str) -> list[T]:
    """Compute every partition of an RDD, at most so many at a time.

    Returns:
        The results of the attempts that Spark accepted, one for each partition.

    Raises:
        Exception: Spark's error for the first partition that fails. The others are cancelled.
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
