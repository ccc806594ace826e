"""This project, as a job runs it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from jobs.dbaccess.resolve import resolve
from jobs.dbaccess.sources import Given
from jobs.dbaccess.sql import TableName
from jobs.flows import load
from jobs.flows.load import LoadJob, new_load_id

if TYPE_CHECKING:
    from bench.plan import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases."""
    server = {name: str(value) for name, value in asdict(task.server).items()}
    job = LoadJob(
        table=TableName.parse(task.table),
        settings=resolve(Given(server), {}).settings,
        mode="append",
        load_id=new_load_id(),
        verify=task.verify,
    )
    report = load.run(job, lambda: SparkSession.builder.getOrCreate().read.parquet(task.parquet))
    return {name: seconds for name, seconds in report.seconds.items() if name != "total"}
