"""Run an RDD's partitions as Spark jobs, a bounded number at once, and tell whether Spark had to run some anew.

Bounding is done by the driver, which submits a job for each partition as another one ends: no partition is merged
with another (as coalesce would), and no task waits in an executor with a core.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

from pyspark import RDD, SparkContext
from pyspark.sql import DataFrame


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


def run_partitions(rdd: RDD[Any], partitions: int, at_once: int, group: str) -> None:
    """Compute every partition of an RDD for its side effects, at most so many at once.

    Raises:
        Exception: as Spark has it, of the first partition that fails; the others are cancelled.
    """
    if partitions <= at_once:
        rdd.collect()
        return
    context = rdd.context

    def run_one(partition: int) -> None:
        with job_group(context, group, f"part {partition} of {partitions}"):
            context.runJob(rdd, _drained, [partition])

    with ThreadPoolExecutor(at_once, thread_name_prefix="pgjobs-part") as pool:
        jobs = [pool.submit(run_one, partition) for partition in range(partitions)]
        try:
            done, _ = wait(jobs, return_when=FIRST_EXCEPTION)
            for job in done:
                job.result()
        except BaseException:
            for job in jobs:
                job.cancel()
            context.cancelJobGroup(group)
            raise


def _drained(results: Iterable[Any]) -> list[Any]:
    return list(results)


def was_rerun(context: SparkContext, group: str) -> bool:
    """Whether Spark ran a stage of the group's jobs anew, for data of an earlier stage was lost."""
    tracker = context.statusTracker()
    infos = (tracker.getJobInfo(job) for job in tracker.getJobIdsForGroup(group))
    stages = (tracker.getStageInfo(stage) for info in infos if info is not None for stage in info.stageIds)
    return any(stage is not None and stage.currentAttemptId > 0 for stage in stages)


def is_indeterminate(df: DataFrame, rdd: RDD[Any]) -> bool:
    """Whether a partition that is computed anew may hold other rows, as far as Spark can tell."""
    # Spark knows, and PySpark has no public way to ask.
    level = rdd._jrdd.rdd().outputDeterministicLevel().toString()  # noqa: SLF001 - see above
    return level == "INDETERMINATE" or not df._jdf.queryExecution().analyzed().deterministic()  # noqa: SLF001 - see above
