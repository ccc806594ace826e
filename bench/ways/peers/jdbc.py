"""Spark's own JDBC writer, in its fastest configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.ways.task import JDBC_BATCH

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load. It reports no phases."""
    server = task.server
    url = f"jdbc:postgresql://{server.host}:{server.port}/{server.dbname}?reWriteBatchedInserts=true"
    properties = {"user": server.user, "driver": "org.postgresql.Driver", "batchsize": str(JDBC_BATCH)}
    rows = SparkSession.builder.getOrCreate().read.parquet(task.parquet)
    rows.write.jdbc(url, task.table, mode="append", properties=properties)
    return {}
