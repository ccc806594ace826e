"""Timestamps of nanoseconds in Parquet files, which pandas writes: Spark reads them as numbers, if at all.

PostgreSQL's timestamps have microseconds, as Spark's. So they are exact, unless one has nanoseconds: that is an error.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f

MARK = "pgjobs: nanoseconds in "
"""How the error for such a value begins. The column, ` of ` and the file follow."""

_IN_MICROSECOND = 1000


def as_timestamps(df: DataFrame, columns: Mapping[str, bool]) -> DataFrame:
    """Return the rows with timestamps in place of numbers of nanoseconds since 1970.

    Args:
        df: The rows.
        columns: The columns of such numbers, and whether they are instants. Others have no time zone.
    """
    placed = df.toDF(*[f"c{place}" for place in range(len(df.columns))])
    values = [
        _timestamp(placed[place], name, is_instant=columns[name]).alias(place) if name in columns else placed[place]
        for place, name in zip(placed.columns, df.columns)
    ]
    return placed.select(values).toDF(*df.columns)


def _timestamp(nanoseconds: Column, name: str, *, is_instant: bool) -> Column:
    micros = f.call_function("div", nanoseconds, f.lit(_IN_MICROSECOND))
    if is_instant:
        value = f.timestamp_micros(micros)
    else:
        value = f.expr("TIMESTAMP_NTZ'1970-01-01'") + f.expr("INTERVAL '0.000001' SECOND") * micros
    error = f.raise_error(f.concat(f.lit(f"{MARK}{name} of "), f.input_file_name()))
    refused = f.when(error.cast("string").isNotNull(), value)
    return f.when(nanoseconds % _IN_MICROSECOND == 0, value).when(nanoseconds.isNotNull(), refused)
