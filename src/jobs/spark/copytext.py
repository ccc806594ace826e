"""A row as one line of COPY's text format, by Spark's own expressions: the JVM encodes, Python only carries.

A line ends in the only newline that it holds, for every newline of a value is escaped.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.spark.matching import Match
from jobs.spark.types import TEXT_CATEGORY

LINE = "line"
"""The name of the only column of an encoded DataFrame."""

NULL = "\\N"

# The backslash first, so that the escapes' own are not escaped again.
_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

MOMENT_FORMAT = "yyyy-MM-dd HH:mm:ss.SSSSSSXXXXX"
"""An instant with its offset: it is the same instant in every session time zone, and in an hour that comes twice.
XXXXX, because the offsets of long ago have seconds."""


def encode(df: DataFrame, matches: Sequence[Match]) -> DataFrame:
    """A DataFrame of one string column: each row as its finished COPY line, columns in the order of `matches`."""
    pieces: list[Column] = []
    for match in matches:
        pieces += [_field(df[_backquoted(match.source)], match), f.lit("\t")]
    pieces[-1] = f.lit("\n")
    return df.select(f.concat(*pieces).alias(LINE))


def _backquoted(name: str) -> str:
    """A column's name as it means itself, dots and backquotes included."""
    return "`" + name.replace("`", "``") + "`"


def _field(value: Column, match: Match) -> Column:
    return f.coalesce(_text(value, match), f.lit(NULL))


def _text(value: Column, match: Match) -> Column:
    """A value's text; NULL for NULL."""
    if isinstance(match.spark_type, t.StringType):
        return _escaped(value)
    if isinstance(match.spark_type, t.BinaryType):
        return f.concat(f.lit("\\\\x"), f.hex(value))
    if match.target.base_type == "timestamptz" and match.target.category != TEXT_CATEGORY:
        return f.date_format(value.cast(t.TimestampType()), MOMENT_FORMAT)
    if match.target.base_type == "timestamp":
        return value.cast(t.TimestampNTZType()).cast(t.StringType())
    return value.cast(t.StringType())


def _escaped(value: Column) -> Column:
    """Escape what means something to COPY. Spark's replace returns a string that holds no match as it is."""
    for character, escape in _ESCAPES:
        value = f.replace(value, f.lit(character), f.lit(escape))
    return value
