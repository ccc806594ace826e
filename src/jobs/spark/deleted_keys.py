"""The operations of an incremental extract: its rows are upserts, and keys deleted since the last run are deletes."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted

OPERATION = "_op"
"""The column with the operation of a row."""
UPSERT, DELETE = "U", "D"


def deleted(before: DataFrame, now: DataFrame) -> DataFrame:
    """Return the keys of `before` that are not in `now`. Both have the same columns, of which none is NULL."""
    by_place = [f"key{place}" for place in range(len(now.columns))]  # a name may contain what Spark interprets
    return before.toDF(*by_place).join(now.toDF(*by_place), by_place, "left_anti").toDF(*now.columns)


def with_operations(rows: DataFrame, keys: Sequence[str], deleted: DataFrame | None) -> DataFrame:
    """Return rows and deleted keys, with the operation in the first column.

    Args:
        rows: The rows that are new.
        keys: The names of the key columns.
        deleted: The deleted keys; None for none. The other columns of their rows are NULL.
    """
    upserts = rows.select(f.lit(UPSERT).alias(OPERATION), *(rows[backquoted(name)] for name in rows.columns))
    if deleted is None:
        return upserts
    values = [
        (deleted[backquoted(field.name)] if field.name in keys else f.lit(None).cast(field.dataType)).alias(field.name)
        for field in rows.schema
    ]
    return upserts.union(deleted.select(f.lit(DELETE).alias(OPERATION), *values))


class Deletes:
    """Counts the deletes among rows while these are processed."""

    def __init__(self) -> None:
        self._observation = Observation()

    def observed(self, df: DataFrame) -> DataFrame:
        """Return the same rows. The first action on them determines the count."""
        return df.observe(self._observation, f.count(f.when(df[OPERATION] == DELETE, 1)).alias("deletes"))

    def count(self) -> int:
        """Return how many there were."""
        return int(self._observation.get["deletes"])
