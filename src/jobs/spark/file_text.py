"""Prepares rows for CSV and JSON: values that Spark would write with a loss, or not at all."""

from __future__ import annotations

import re

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.encode_spark import backquoted
from jobs.copyformat.write_types import innermost

_TIMESTAMPS = (t.DateType, t.TimestampType, t.TimestampNTZType)
_TOLD = re.compile(r"pgjobs<<(.*?)>>", re.DOTALL)


def for_text_files(df: DataFrame, null_rows: bool) -> DataFrame:
    r"""Return the rows with binary as PostgreSQL's `\x0a1b`, and an error for values that files could not reproduce.

    Args:
        df: The rows.
        null_rows: Whether a row of only NULLs can be written. In a CSV of one column it is an empty line, which Spark
            neither writes nor reads.
    """
    refused = None if null_rows or len(df.columns) > 1 else "holds NULL, which a CSV of one column cannot"
    columns = []
    for field in df.schema:
        value = _written(df[backquoted(field.name)], field.dataType, field.name)
        if refused:
            value = f.when(value.isNull(), _refusal(field.name, refused, value)).otherwise(value)
        columns.append(value.alias(field.name))
    return df.select(columns)


def refusal(message: str) -> str | None:
    """Return the text about a column that cannot be written, from an error of Spark; None for other errors."""
    match = _TOLD.search(message)
    return match.group(1) if match else None


def _written(value: Column, kind: t.DataType, name: str) -> Column:
    if isinstance(kind, t.ArrayType):
        inner = kind.elementType
        if isinstance(innermost(kind), (t.BinaryType, *_TIMESTAMPS)):
            return f.transform(value, lambda item: _written(item, inner, name))
    elif isinstance(kind, t.BinaryType):
        return f.concat(f.lit("\\x"), f.lower(f.hex(value)))
    elif isinstance(kind, _TIMESTAMPS):  # yyyy is the year of an era, which is not written
        return f.when(f.year(value) < 1, _refusal(name, "holds a year before 1", value)).otherwise(value)
    return value


def _refusal(name: str, reason: str, instead_of: Column) -> Column:
    """Return an expression that raises an error, with the type of a value."""
    error = f.raise_error(f.lit(f"pgjobs<<The column {name} {reason}.>>"))
    return f.when(error.cast("string").isNotNull(), instead_of)
