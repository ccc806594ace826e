"""Loads of changes: of a lake's table, or of a capture's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.followed.decision import FLAG, folder_of
from jobs.flows.load import catalog_table, files, sources
from jobs.flows.load.feeds.batches import BatchesFeed, batches_in
from jobs.flows.load.feeds.delta import DeltaFeed
from jobs.flows.load.feeds.feed import Feed
from jobs.flows.load.feeds.following import Following
from jobs.flows.load.feeds.iceberg import IcebergFeed
from jobs.flows.load.feeds.lake_table import LakeTable
from jobs.flows.load.files import Files
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.flows.load.sources import Source
from jobs.flows.report import LoadReport, SourceTable
from jobs.flows.source_tables import CatalogTable, parts_of
from jobs.spark.plans.lake_tables import DELTA, ICEBERG


def load_changes(
    job: LoadJob, source: Source, start_spark: Callable[[], SparkSession], *, full: bool = False
) -> LoadReport:
    """Load what changed in a source since the state that the table has by the last such load.

    Args:
        job: The load, an upsert by keys.
        source: A table of Iceberg or Delta, or the folder that a capture writes.
        start_spark: A function that returns the session. It is not called if a load of this id has finished.
        full: Whether to load all rows in any case, and delete those that the source lacks.

    Raises:
        UsageError: The arguments are invalid, or the table follows another source. Nothing was copied.
        JobError: The load failed. Nothing of it is in the table, whose position is what it was.
    """
    sources.check(source)
    read_from: SourceTable | None = None

    def open_feed() -> Feed:
        nonlocal read_from
        if isinstance(source, Files):
            return _batches(start_spark(), source)
        feed, read_from = _lake(start_spark(), source)
        read_from = replace(read_from, version="")  # the report has the state that was loaded
        return feed

    with files.malformed_translated():
        report = run(replace(job, follows=Following(open_feed, full, source.select)), _read_by_the_feed)
    return replace(report, source_table=read_from)


def _batches(spark: SparkSession, batches: Files) -> Feed:
    folder = folder_of(batches.paths)

    def read(paths: list[str]) -> DataFrame:
        told = replace(batches, paths=paths, options=[*batches.options, f"basePath={folder}"], select="")
        return files.read(spark, told).df

    return BatchesFeed(folder, batches_in(spark, folder), read)


def _lake(spark: SparkSession, source: CatalogTable) -> tuple[Feed, SourceTable]:
    """Return the change feed of a lake's table, and where the table is.

    Raises:
        UsageError: There is no such table, or it tells no changes.
    """
    _, read_from = catalog_table.read(spark, CatalogTable(source.name))
    table = LakeTable(_in_full(spark, parts_of(source.name)))
    if read_from.format == ICEBERG:
        return IcebergFeed(spark, table), read_from
    if read_from.format == DELTA:
        return DeltaFeed(spark, table), read_from
    raise UsageError(
        f"{source.name} is not a table of Iceberg or Delta, and {FLAG} does not know what changed in it.",
        f"Leave out {FLAG} to load all rows. Folders of a capture are given as --source.",
    )


def _in_full(spark: SparkSession, parts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the parts of a name with the catalog."""
    has_catalog = parts[0] in catalog_table.catalogs_of(spark)  # databases may be nested, too
    return parts if has_catalog else (str(spark.catalog.currentCatalog()), *parts)


def _read_by_the_feed() -> DataFrame:
    raise AssertionError("a load that follows a source reads what the source tells")
