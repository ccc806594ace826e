"""What a load reads: files, or a table of Spark's catalogs. Both give rows, as a query over them may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Union

from pyspark.sql import DataFrame, SparkSession

from jobs.flows import source_tables
from jobs.flows.load import catalog_table, files
from jobs.flows.load.files import Files, Rows, malformed_translated
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.flows.report import LoadReport
from jobs.flows.source_tables import CatalogTable

Source = Union[Files, CatalogTable]


def check(source: Source) -> None:
    """Check what can be checked without Spark.

    Raises:
        UsageError: A name or an option cannot be right.
    """
    if isinstance(source, CatalogTable):
        source_tables.check(source)
    else:
        files.check(source)


def read(spark: SparkSession, source: Source, *, quarantines: bool = False) -> Rows:
    """Return the rows of a source.

    Args:
        spark: The session.
        source: The source.
        quarantines: Whether records of files that would fail the load become rows that have the column MALFORMED.

    Raises:
        UsageError: There is no such table; or an option or the schema of files is invalid.
    """
    if isinstance(source, Files):
        return files.read(spark, source, quarantines=quarantines)
    df, table = catalog_table.read(spark, source)
    return Rows(files.selected(df, source.select), table=table)


def load(job: LoadJob, source: Source, start_spark: Callable[[], SparkSession]) -> LoadReport:
    """Load the rows of a source.

    Args:
        job: The load.
        source: The source.
        start_spark: A function that returns the session. It is not called if a load of this id has finished.

    Raises:
        UsageError: The arguments are invalid. Nothing was copied.
        JobError: The load failed. Nothing of it is in the table.
    """
    check(source)
    rows: Rows | None = None

    def read_rows() -> DataFrame:
        nonlocal rows
        rows = read(start_spark(), source, quarantines=job.policy.quarantines)
        return rows.df

    def ancient() -> str:
        return files.of_unknown_calendar(start_spark(), source) if isinstance(source, Files) else ""

    with malformed_translated(ancient):
        report = run(job, read_rows)
    return report if rows is None else replace(report, records_malformed=rows.malformed, source_table=rows.table)
