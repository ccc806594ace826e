"""What changed between two versions of a table, by comparing all of their rows in Spark."""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql import functions as f

from jobs.copyformat.encode_spark import backquoted
from jobs.flows.load.feeds.feed import DELETE, UPSERT, check_comparable, told


def compared(before: DataFrame, now: DataFrame) -> DataFrame:
    """Return the rows that are not any more as they were, as deleted, and those that are new, as changes of one commit.

    An update is both, because a query of the user's own may take one of the two, and may rename the keys.

    Args:
        before: All rows of the older version.
        now: All rows of the newer version. Columns that only one of them has are NULL in the other.
    """
    check_comparable(now)
    older = before.select(
        *(
            before[backquoted(name)]
            if name in before.columns
            else f.lit(None).cast(now.schema[name].dataType).alias(name)
            for name in now.columns
        )
    )
    return _as(now.exceptAll(older), UPSERT).unionByName(_as(older.exceptAll(now), DELETE))


def _as(df: DataFrame, operation: str) -> DataFrame:
    return told(df, f.lit(operation), f.lit(0))
