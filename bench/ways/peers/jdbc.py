"""Spark's own JDBC writer, in its fastest configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from bench.ways.task import Task


JDBC_BATCH = 10_000  # rows; with more, JDBC got no faster and used more memory. The same applies to its reads.


def run(task: Task) -> dict[str, float]:
    """Load. It reports no phases."""
    server = task.server
    url = f"jdbc:postgresql://{server.host}:{server.port}/{server.dbname}?reWriteBatchedInserts=true"
    properties = {"user": server.user, "driver": "org.postgresql.Driver", "batchsize": str(JDBC_BATCH)}
    rows = SparkSession.builder.getOrCreate().read.parquet(task.parquet)
    rows.write.jdbc(url, task.table, mode="append", properties=properties)
    return {}
