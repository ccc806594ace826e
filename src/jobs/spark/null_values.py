"""Strings that stand for NULL."""

from __future__ import annotations

from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.write_types import by_bytes, is_string


def with_nulls(df: DataFrame, null_values: Collection[str]) -> DataFrame:
    """Return the rows with NULL in place of some strings, in all columns of strings. Elements of arrays stay.

    Strings are compared by their bytes, whatever the column's collation.
    """
    if not null_values:
        return df
    placed = df.toDF(*[f"c{place}" for place in range(len(df.columns))])  # two columns may have one name
    columns = []
    for name, field in zip(placed.columns, df.schema):
        value = placed[name]
        if is_string(field.dataType):
            plain = value if by_bytes(field.dataType) == field.dataType else value.cast(t.StringType())
            value = f.when(~plain.isin(*null_values), value).alias(name)
        columns.append(value)
    return placed.select(*columns).toDF(*df.columns)
