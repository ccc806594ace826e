"""Which columns hold NUL characters: PostgreSQL refuses them without saying where."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.spark.copytext import backquoted
from jobs.spark.types import innermost, is_string


def may_hold(kind: t.DataType) -> bool:
    """Whether values of a type are text, or arrays of it."""
    return is_string(innermost(kind))


def columns_with_nul(df: DataFrame, names: Sequence[str]) -> list[str]:
    """Those of the columns in which some value holds a NUL. It reads the data once more."""
    if not names:
        return []
    found = df.select(
        [
            f.max(f.instr(df[backquoted(name)].cast(t.StringType()), "\0") > 0).alias(f"c{i}")
            for i, name in enumerate(names)
        ]
    ).first()
    return [name for name, held in zip(names, found or ()) if held]
