"""Extracts for tests: a DataFrame for a block, in a snapshot of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.job import ExtractReport
from jobs.flows.extract.plan import Wanted

Target = Callable[..., ExtractReport]
"""Extracts the table t into a folder."""


@contextmanager
def extracted(
    spark: SparkSession, database: Settings, wanted: Wanted | str, arrow: bool | None = None
) -> Iterator[DataFrame]:
    """What is wanted, or a table."""
    what = Wanted(TableName.parse(wanted)) if isinstance(wanted, str) else wanted
    connector = Connector(database, "extract", str(what))
    with connect(database, "holder") as session, extracting(spark, session, connector, what, arrow) as extraction:
        yield extraction.df


def ids(spark: SparkSession, folder: Path) -> list[int]:
    return sorted(row.id for row in spark.read.parquet(str(folder)).collect())
