"""This project, as a job runs it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.plan import KEYS
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.sql import TableName
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.job import run as run_load

if TYPE_CHECKING:
    from bench.plan import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases."""
    server = {name: str(value) for name, value in asdict(task.server).items()}
    job = LoadJob(
        table=TableName.parse(task.table),
        settings=resolve(Given(server), {}).settings,
        move=Move(task.mode, (), KEYS if task.mode == "upsert" else (), skip_unchanged=task.skip_unchanged),
        load_id=new_load_id(),
        verify=task.verify,
    )
    report = run_load(job, lambda: SparkSession.builder.getOrCreate().read.parquet(task.parquet))
    return {name: seconds for name, seconds in report.seconds.items() if name != "total"}
