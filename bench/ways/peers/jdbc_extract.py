"""Spark's own JDBC reader, in its fastest configuration. Each of its partitions sees another snapshot of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.tpch.names import CONNECTIONS
from bench.ways.peers.jdbc import JDBC_BATCH
from bench.ways.reading import drain

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Read. It reports no phases."""
    server = task.server
    url = f"jdbc:postgresql://{server.host}:{server.port}/{server.dbname}"
    properties = {"user": server.user, "driver": "org.postgresql.Driver", "fetchsize": str(JDBC_BATCH)}
    spark = SparkSession.builder.getOrCreate()
    query = f"(SELECT min(l_orderkey) AS low, max(l_orderkey) AS high FROM {task.table}) AS bounds"
    [[low, high]] = spark.read.jdbc(url, query, properties=properties).collect()
    drain(spark.read.jdbc(url, task.table, "l_orderkey", low, high, CONNECTIONS, properties=properties), task)
    return {}
