"""Rows of an incremental extract, told as upserts, and keys that are gone since the last run, told as deletes."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted

OPERATION = "_op"
"""The column that tells what a row is."""
UPSERT, DELETE = "U", "D"


def gone(before: DataFrame, now: DataFrame) -> DataFrame:
    """Return the keys of `before` that are not in `now`. Both have the same columns, of which none is NULL."""
    by_place = [f"key{place}" for place in range(len(now.columns))]  # a name may contain what Spark interprets
    return before.toDF(*by_place).join(now.toDF(*by_place), by_place, "left_anti").toDF(*now.columns)


def told(rows: DataFrame, keys: Sequence[str], gone: DataFrame | None) -> DataFrame:
    """Return rows and keys that are gone, with the operation in the first column.

    Args:
        rows: The rows that are new.
        keys: The names of the key columns.
        gone: The keys; None for none. The other columns of their rows are NULL.
    """
    upserts = rows.select(f.lit(UPSERT).alias(OPERATION), *(rows[backquoted(name)] for name in rows.columns))
    if gone is None:
        return upserts
    values = [
        (gone[backquoted(column.name)] if column.name in keys else f.lit(None).cast(column.dataType)).alias(column.name)
        for column in rows.schema
    ]
    return upserts.union(gone.select(f.lit(DELETE).alias(OPERATION), *values))


class Deletes:
    """Counts the rows that tell a delete while they are processed."""

    def __init__(self) -> None:
        self._observation = Observation()

    def observed(self, df: DataFrame) -> DataFrame:
        """Return the same rows. The first action on them determines the count."""
        return df.observe(self._observation, f.count(f.when(df[OPERATION] == DELETE, 1)).alias("deletes"))

    def count(self) -> int:
        """Return how many there were."""
        return int(self._observation.get["deletes"])
