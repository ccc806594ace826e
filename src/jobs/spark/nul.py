"""Finds columns with values that PostgreSQL refuses without naming the column: NULs, and bytes that are not UTF-8."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.utf8 import is_utf8
from jobs.copyformat.write_types import is_string


def may_hold(kind: t.DataType) -> bool:
    """Return whether values of a type are text, or contain text, at any depth."""
    if isinstance(kind, t.StructType):
        return any(may_hold(field.dataType) for field in kind)
    if isinstance(kind, t.MapType):
        return may_hold(kind.keyType) or may_hold(kind.valueType)
    return may_hold(kind.elementType) if isinstance(kind, t.ArrayType) else is_string(kind)


def columns_not_utf8(df: DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns in which a value contains bytes that are not UTF-8. This reads the data once more."""
    return _columns_where(df, names, lambda value: ~is_utf8(value.cast(t.StringType())))


def columns_with_nul(df: DataFrame, names: Sequence[str]) -> list[str]:
    """Return the columns in which a value contains a NUL. This reads the data once more."""
    return _columns_where(df, names, lambda value: f.instr(value.cast(t.StringType()), "\0") > 0)


def _columns_where(df: DataFrame, names: Sequence[str], holds: Callable[[Column], Column]) -> list[str]:
    if not names:
        return []
    places = {name: f"c{place}" for place, name in enumerate(df.columns)}
    df = df.toDF(*places.values())
    flags = df.select([f.max(holds(df[places[name]])).alias(places[name]) for name in names]).first()
    return [name for name, held in zip(names, flags or ()) if held]
