"""What changed between two versions of a table, by comparing all of their rows in Spark."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted
from jobs.flows.load.feeds.feed import DELETE, UPSERT, told


def compared(before: DataFrame, now: DataFrame, keys: Sequence[str]) -> DataFrame:
    """Return the rows that are new or differ, and the keys of those that are gone, as changes of one commit.

    Args:
        before: All rows of the older version.
        now: All rows of the newer version. Columns that only one of them has are NULL in the other.
        keys: The columns that identify a row.
    """
    names = now.columns
    older = before.select(
        *(
            before[backquoted(name)]
            if name in before.columns
            else f.lit(None).cast(now.schema[name].dataType).alias(name)
            for name in names
        )
    )
    gone = older.join(now.select(*map(backquoted, keys)), on=list(keys), how="left_anti").select(
        *map(backquoted, names)
    )
    differing = now.exceptAll(older)
    return _as(differing, UPSERT).unionByName(_as(gone, DELETE))


def _as(df: DataFrame, operation: str) -> DataFrame:
    return told(df, f.lit(operation), f.lit(0))
