"""This project's data source, written to by Spark."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from jobs.pgcopy.datasource import PostgresCopyDataSource

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load. It reports no phases."""
    spark = SparkSession.builder.getOrCreate()
    spark.dataSource.register(PostgresCopyDataSource)
    server = {name: str(value) for name, value in asdict(task.server).items()}
    rows = spark.read.parquet(task.parquet)
    rows.write.format("pgcopy").options(**server, table=task.table).mode("append").save()
    return {}
