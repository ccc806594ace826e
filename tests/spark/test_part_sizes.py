"""Tiny partitions become few parts, and each of their rows arrives once."""

from __future__ import annotations

from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.flows.load.stage import Copying
from jobs.spark.plans.part_sizes import parts_of


def test_tiny_partitions_are_merged_and_all_rows_arrive_once(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    rows = spark.range(0, 1_000, 1, 100).selectExpr("id", "string(id) AS s")
    job = LoadJob(TableName("t"), database, "tiny", copying=Copying(parallelism=1), verify=True)
    report = run(job, lambda: rows)
    assert (report.parts, report.rows_inserted) == (16, 1_000)
    assert session.run("SELECT count(*), count(DISTINCT id), sum(s::int) FROM t") == [[1_000, 1_000, 499_500]]


def test_partitions_of_unknown_size_stay_as_they_are(spark: SparkSession) -> None:
    rows = spark.createDataFrame(spark.sparkContext.parallelize([(1,)], 100), "a int")
    assert parts_of(rows, 100, parallelism=1) == 100
