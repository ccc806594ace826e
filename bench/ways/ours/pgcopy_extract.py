"""This project's data source, read by Spark."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.tpch.names import CONNECTIONS
from bench.ways.reading import drain
from jobs.pgcopy.datasource import PostgresCopyDataSource

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Read. It reports no phases."""
    spark = SparkSession.builder.getOrCreate()
    spark.dataSource.register(PostgresCopyDataSource)
    server = {name: str(value) for name, value in asdict(task.server).items()}
    reader = spark.read.format("pgcopy").options(**server, table=task.table, parallelism=str(CONNECTIONS))
    drain(reader.load(), task)
    return {}
