"""Copies what a query of Spark makes of a table's rows, as an extract and a load do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.session import Session
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.plan import find_source
from jobs.flows.load import run as loads
from jobs.flows.table_copy.job import CopyJob, check_other
from jobs.flows.table_copy.report import CopyReport


def run(job: CopyJob, select: str, start_spark: Callable[[], SparkSession]) -> CopyReport:
    """Copy. The source is not read if a load of this id has finished.

    Args:
        job: The copy.
        select: A query over the view `source`, the rows of the table.
        start_spark: A function that returns the session. It is not called if a load of this id has finished.

    Raises:
        UsageError: The request cannot be right, or the columns do not fit. Nothing was copied.
        JobError: The copy failed. Nothing of it is in the table.
    """
    job.check()
    with ExitStack() as stack:

        def read() -> DataFrame:
            connector = Connector(job.source, "copy", str(job.wanted))
            session = stack.enter_context(connector.open())
            _check_other(session, job)
            spark = start_spark()
            rows = stack.enter_context(extracting(spark, session, connector, job.wanted)).df
            rows.createOrReplaceTempView("source")
            return spark.sql(select)

        return CopyReport.of(loads.run(job.load, read))


def _check_other(session: Session, job: CopyJob) -> None:
    """Check that the rows do not go into the table that they come from.

    Raises:
        UsageError: They do.
    """
    there = find_source(session, job.wanted)
    with job.load.connector.open() as here:
        table = tables.find_table(here, job.load.table)
        if there is not None and table is not None:
            check_other(session, there.name, here, table.name)
