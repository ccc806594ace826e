"""The result of a query in files, written by an extract."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError, UsageError, plural
from jobs.dbaccess.query.result import Pending
from jobs.flows.extract.job import FilesJob, run
from jobs.flows.extract.plan import Wanted
from jobs.flows.file_options import PARSED, Output
from jobs.spark import hadoop_files


def some_spark() -> SparkSession:
    """Return the session of this process, or start one."""
    return SparkSession.builder.getOrCreate()


def check_free(spark: SparkSession, output: Output) -> None:
    """Check, before anything is run, that the target has no files.

    Raises:
        UsageError: The folder exists.
    """
    if not output.replace and hadoop_files.exists(spark, output.path):
        raise UsageError(
            f"The target {output.path} exists. Nothing was run.", "Give another one, or --write-mode overwrite."
        )


def write(pending: Pending, output: Output, settings: Settings, start_spark: Callable[[], SparkSession]) -> None:
    """Write a result. Files that an earlier attempt wrote are replaced.

    Raises:
        ExtractError: It was not written completely.
    """
    job = FilesJob(
        wanted=Wanted(table=pending.table),
        settings=settings,
        target=output.path,
        file_format=output.file_format,
        write_mode="overwrite",
        writer_options=output.options,
    )
    report = run(job, start_spark)
    if report.rows != pending.rows:
        raise ExtractError(
            f"{report.rows:,} of {plural(pending.rows, 'row')} were written to {output.path}.",
            "Run it again with this load id.",
        )


def keep_one_write(pending: Pending, output: Output) -> None:
    """Remove files that another run wrote at the same time, so that each row is there once.

    Raises:
        ExtractError: No run has written all rows.
    """
    spark = some_spark()
    writes = hadoop_files.by_write(spark, output.path)
    if len(writes) <= 1:
        return
    complete = next((write for write, files in writes.items() if _rows(spark, files, output) == pending.rows), None)
    if complete is None:
        raise ExtractError(
            f"Several runs wrote to {output.path}, and none of them all of its {plural(pending.rows, 'row')}.",
            "Run it again with this load id.",
        )
    for write, files in writes.items():
        if write != complete:
            hadoop_files.remove(spark, files)


def _rows(spark: SparkSession, files: Sequence[str], output: Output) -> int:
    reader = spark.read.options(**output.options)
    if output.file_format in PARSED:
        reader = reader.options(multiLine=output.file_format == "csv")
    return reader.format(output.file_format).load(list(files)).count()
