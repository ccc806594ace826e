"""The last step of every read by Spark: all rows are produced and added up; their count shows that all arrived."""

from __future__ import annotations

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f

from bench.errors import BenchError
from bench.tpch.files import Totals
from bench.tpch.names import PARQUET
from bench.ways.task import Task


def drain(rows: DataFrame, task: Task) -> None:
    """Have Spark produce all rows.

    Raises:
        BenchError: Their number is not that of the data.
    """
    observed = Observation()
    sums = (f.count("*").alias("rows"), f.sum("l_extendedprice").alias("price"), f.sum("l_orderkey").alias("keys"))
    rows.observe(observed, *sums).write.format("noop").mode("overwrite").save()
    totals = Totals(observed.get["rows"], observed.get["price"], observed.get["keys"])
    wanted = rows.sparkSession.read.parquet(f"{task.folder}/{PARQUET}").agg(*sums[:1]).first()
    if wanted is None or totals.rows != wanted["rows"]:
        raise BenchError(f"{totals} was read, and not {wanted}")
