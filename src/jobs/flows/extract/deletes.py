"""Deletes since the last run of a watermark, which no trigger has recorded: the keys of all rows are compared.

Each run writes the keys that its snapshot sees, as Parquet, into a folder inside of the run's own, which readers do not
see. A key that the last run saw and this one does not see is reported as deleted: its row was deleted, has another key,
or no longer meets the filter. Every row that a run has extracted was visible in its snapshot, so no delete is missed,
however transactions overlap. Spark compares the keys, in bounded memory.

The keys become those of the last run when the watermark moves. If it does not, they are removed with the run's rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.session import Session
from jobs.flows.extract.dataframe import reading
from jobs.flows.extract.plan import ExtractPlan, Wanted, plan_extract
from jobs.flows.extract.watermark_runs import Turn
from jobs.spark import deleted_keys, hadoop_files


@dataclass(frozen=True)
class KeysPlan:
    """How to read the keys of all rows.

    Attributes:
        names: The columns of the primary key.
    """

    names: tuple[str, ...]
    plan: ExtractPlan


def plan_keys(session: Session, wanted: Wanted, table: Table) -> KeysPlan:
    """Determine how to read the keys of all rows, in the snapshot that a session sees."""
    names = tuple(tables.primary_key(session, table.name))
    text_columns = tuple(name for name in wanted.text_columns if name in names)
    keys = replace(wanted, columns=names, text_columns=text_columns, require_primary_key=False, with_key=False)
    return KeysPlan(names, plan_extract(session, keys, table))


def find(spark: SparkSession, connector: Connector, keys: KeysPlan, exported: Snapshot, turn: Turn) -> DataFrame | None:
    """Write the keys of this run, and return the keys that were deleted since the last one; None in the first run.

    Raises:
        UsageError: The last run's keys are missing, or the key has other columns or types since.
    """
    with reading(spark, connector, keys.plan, exported) as extraction:
        extraction.df.write.mode("error").parquet(turn.keys(turn.number))
    if not turn.mark.xmin:
        return None
    return deleted_keys.deleted(_last_keys(spark, turn, extraction.df), spark.read.parquet(turn.keys(turn.number)))


def _last_keys(spark: SparkSession, turn: Turn, now: DataFrame) -> DataFrame:
    """Return the keys that the last run saw."""
    folder = turn.keys(turn.mark.runs)
    if not hadoop_files.exists(spark, folder):
        raise UsageError(
            f"The keys of the last run are not in {folder}.",
            "Give the same --target as that run, or --restart-watermark to extract all rows again.",
        )
    before = spark.read.parquet(folder)
    was, is_now = _types(before), _types(now)
    if was != is_now:
        raise UsageError(
            f"The key had {', '.join(was)} in the last run, and has {', '.join(is_now)} now.",
            "Give --restart-watermark to extract all rows again.",
        )
    return before


def _types(df: DataFrame) -> Sequence[str]:
    return [f"{field.name} {field.dataType.simpleString()}" for field in df.schema]
