"""Loads the rejects of an earlier load again, after somebody repaired them in their table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.rejects.table import Replayed, find_replayed
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.flows.report import LoadReport


def replay(job: LoadJob, load_id: str, start_spark: Callable[[], SparkSession]) -> LoadReport:
    """Load what a load has rejected. The rows leave the table of rejects in the transaction that publishes them.

    Args:
        job: The load, which puts aside what is rejected again.
        load_id: The load that rejected the rows.
        start_spark: A function that returns the session.

    Raises:
        UsageError: There is nothing to load, or the load would not put rows aside.
        JobError: The load failed. The rejects are what they were.
    """
    if not job.policy.quarantines:
        raise UsageError("--replay goes with --on-error quarantine: what is rejected again remains there.")
    with job.connector.open() as session:
        replayed = find_replayed(session, tables.full_name(session, job.table), load_id)
    return run(replace(job, replayed=replayed), lambda: rows_of(start_spark(), replayed))


def rows_of(spark: SparkSession, replayed: Replayed) -> DataFrame:
    """Return the rows, each value as text, which the server parses."""
    names = list(dict.fromkeys(name for row in replayed.rows for name in row))
    schema = t.StructType([t.StructField(name, t.StringType()) for name in names])
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in replayed.rows], schema)
