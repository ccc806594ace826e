"""Files as a load reads them: no record is silently misread, skipped or replaced with NULLs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.errors import UsageError
from jobs.flows import file_options
from jobs.flows.file_options import PARSED
from jobs.flows.load.reading import parsed, self_described
from jobs.flows.load.reading.file_errors import file_error, is_of_unknown_calendar, messages, unknown_calendar
from jobs.flows.load.reading.reader import Reading, Rows
from jobs.spark.plans.folders import with_folders_noted
from jobs.spark.sources import listing
from jobs.spark.sources.parquet_footers import file_of_unknown_calendar

__all__ = [
    "Files",
    "Rows",
    "check",
    "malformed_translated",
    "of_unknown_calendar",
    "read",
    "selected",
]  # Rows is defined elsewhere


@dataclass(frozen=True)
class Files:
    """The files to read.

    Attributes:
        options: The options of Spark's reader, as given.
        schema: Columns and types as DDL; empty for those that Spark infers.
        select: A query over the view `source`; empty for all rows.
    """

    paths: Sequence[str]
    file_format: str
    options: Sequence[str]
    schema: str = ""
    select: str = ""


def check(files: Files) -> None:
    """Check what can be checked without Spark.

    Raises:
        UsageError: An option is unknown or is given twice, or --schema does not fit the format.
    """
    file_options.mode_of(file_options.parse_options(files.options, files.file_format))
    if files.schema and files.file_format not in PARSED:
        raise UsageError(
            f"--schema is for {' and '.join(PARSED)}: files of {files.file_format} state their columns.",
            "Cast and rename with --select.",
        )


def read(spark: SparkSession, files: Files, *, quarantines: bool = False) -> Rows:
    """Read files.

    Args:
        spark: The session.
        files: The files.
        quarantines: Whether records that would fail the load become rows that have the column MALFORMED. A query over
            the rows would lose it, so that it needs all records.

    Raises:
        UsageError: The schema or an option is invalid, or files would not be read.
        LoadError: Files would be misread.
    """
    reading = _reading(spark, files)
    listing.check_named(spark, reading.paths)
    if files.file_format in PARSED:
        rows = parsed.rows(reading, quarantines=quarantines and not files.select)
    else:
        rows = Rows(self_described.rows(reading))
    rows = replace(rows, df=with_folders_noted(rows.df))
    return replace(rows, df=selected(rows.df, files.select))


def selected(df: DataFrame, select: str) -> DataFrame:
    """Return what a query over the view `source` makes of rows; the rows themselves if it is empty."""
    if not select:
        return df
    df.createOrReplaceTempView("source")
    return df.sparkSession.sql(select)


def of_unknown_calendar(spark: SparkSession, files: Files) -> str:
    """Return a file whose old dates are of an unknown calendar; empty if none is found. Spark's error names none."""
    reading = _reading(spark, files)
    return file_of_unknown_calendar(spark, reading.paths, reading.stated)


def _reading(spark: SparkSession, files: Files) -> Reading:
    """Return how the files are read."""
    stated = file_options.parse_options(files.options, files.file_format)
    return Reading(
        spark=spark,
        paths=tuple(files.paths),
        file_format=files.file_format,
        stated=stated,
        schema=files.schema,
        selects=bool(files.select),
    )


@contextmanager
def malformed_translated(ancient: Callable[[], str] = lambda: "") -> Iterator[None]:
    """Raise our own errors in place of Spark's errors for files and records, which quote the record.

    Args:
        ancient: Returns a file with dates of an unknown calendar: Spark's error does not name it.

    Raises:
        LoadError: A record is malformed, a header is not the expected one, or a file cannot be read.
    """
    try:
        yield
    except Exception as error:
        message = messages(error)
        if is_of_unknown_calendar(message):
            raise unknown_calendar(ancient()) from None
        translated = file_error(message)
        if translated is None:
            raise
        raise translated from None
