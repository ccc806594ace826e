"""The maximum of a column, observed while its rows are processed."""

from __future__ import annotations

from pyspark.sql import DataFrame, Observation
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted


class Greatest:
    """Observes a column of an integer or timestamp type.

    Args:
        column: Its name; empty to observe nothing.
    """

    def __init__(self, column: str) -> None:
        self._column = column
        self._observation = Observation()

    def observed(self, df: DataFrame) -> DataFrame:
        """Return the same rows. The first action on them determines the result."""
        if not self._column:
            return df
        greatest = f.max(df[backquoted(self._column)])
        if isinstance(df.schema[self._column].dataType, t.TimestampType):
            greatest = f.date_format(greatest, "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX")
        return df.observe(self._observation, greatest.cast(t.StringType()).alias("greatest"))

    def text(self) -> str | None:
        """Return the maximum as text; None if there were no rows, or nothing is observed."""
        return self._observation.get["greatest"] if self._column else None
