"""This project's extract into Parquet, as a job runs it."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.tpch.names import CONNECTIONS
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import FilesJob
from jobs.flows.extract.job import run as run_extract
from jobs.flows.extract.plan import Wanted

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Write the files, return the seconds of the phases, and remove the files."""
    server = {name: str(value) for name, value in asdict(task.server).items()}
    target = f"{task.folder}/extracted"
    job = FilesJob(
        settings=resolve(Given(server), {}).settings,
        wanted=Wanted(TableName.parse(task.table), parallelism=CONNECTIONS),
        target=target,
        write_mode="overwrite",
    )
    try:
        report = run_extract(job, SparkSession.builder.getOrCreate)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return {name: seconds for name, seconds in report.seconds.items() if name != "total"}
