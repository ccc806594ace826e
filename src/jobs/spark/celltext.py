"""The text of a cell as the value that it stands for, by Spark's own expressions: the way back of `copytext`.

A text that Spark cannot hold as the wanted type is an error, never NULL. The expressions are SQL, for Spark 3.5 has
try_cast nowhere else.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.spark.reading import WRONG_SHAPE, Reading

NULL = "\\N"

# What COPY TO writes in place of these characters, beside the backslash itself.
# https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
ESCAPES = (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\b", "\b"), ("\\f", "\f"), ("\\v", "\v"))
BACKSLASH = ("\\\\", "\\")
PLACEHOLDER = "\0"
"""Stands for a backslash while the other escapes are resolved. PostgreSQL's text never holds it."""

WORDS = ("infinity", "-infinity", "Infinity", "-Infinity", "NaN")
"""Values of PostgreSQL's that have no equal in some of Spark's types. They may be shown; others are the users'."""

_REFUSED = "pgjobs refused column "
_FOUND = re.compile(_REFUSED + r"(\d+): (\S+)")


def refusal(name: str, found: str) -> tuple[str, str]:
    """The message and the hint of the error that tells of a column with a value that Spark cannot hold."""
    what = found if found in WORDS else f"an array of the dimensions {found}" if "[" in found else "a value"
    return (
        f'The column "{name}" holds {what}, which its type in Spark cannot hold.',
        f"Read it as text: --text-columns {name}.",
    )


def refused(message: str) -> tuple[int, str] | None:
    """The place of the column that an error of Spark's is about, and what was found there; None for other errors."""
    found = _FOUND.search(message)
    return (int(found.group(1)), found.group(2)) if found else None


def cell(raw: Column) -> Column:
    """What stands between two tabs as text without escapes, or NULL."""
    resolved = f.replace(raw, f.lit(BACKSLASH[0]), f.lit(PLACEHOLDER))
    for escape, character in (*ESCAPES, (PLACEHOLDER, BACKSLASH[1])):
        resolved = f.replace(resolved, f.lit(escape), f.lit(character))
    return f.when(raw == NULL, None).when(raw.contains("\\"), resolved).otherwise(raw)


def value(text: str, reading: Reading, place: int) -> str:
    """The SQL expression of a cell's value.

    Args:
        text: the name of the cell's column, which holds its text, or NULL.
        reading: what it is.
        place: of the column, for the error that tells of it.
    """
    if reading.dimensions == 0:
        return _scalar(text, reading.element, place)
    texts = "array<" * reading.dimensions + "string" + ">" * reading.dimensions
    values = _elements(f"from_json({text}, '{texts}')", reading, place, reading.dimensions)
    shape = _raise(place, f"substring({text}, 2)")
    return f"CASE WHEN startswith({text}, '{WRONG_SHAPE}') THEN {shape} ELSE {values} END"


def _elements(array: str, reading: Reading, place: int, depth: int) -> str:
    if isinstance(reading.element, t.StringType):
        return array
    item = f"item{depth}"
    inner = _scalar(item, reading.element, place) if depth == 1 else _elements(item, reading, place, depth - 1)
    return f"transform({array}, {item} -> {inner})"


def _scalar(text: str, kind: t.DataType, place: int) -> str:
    if isinstance(kind, t.StringType):
        return text
    if isinstance(kind, t.BinaryType):
        return f"unhex(substring({text}, 3))"  # after \x
    said = _astronomical(text) if isinstance(kind, (t.DateType, t.TimestampType, t.TimestampNTZType)) else text
    words = ", ".join(f"'{word}'" for word in WORDS)
    shown = f"if({text} IN ({words}), {text}, '?')"
    otherwise = f"CASE WHEN {text} IS NOT NULL THEN {_raise(place, shown)} END"
    return f"coalesce(try_cast({said} AS {kind.simpleString()}), {otherwise})"


def _raise(place: int, found: str) -> str:
    return f"raise_error(concat('{_REFUSED}{place}: ', {found}))"


def _astronomical(text: str) -> str:
    """`0044-03-15 BC` with the year as Spark writes it: -0043-03-15."""
    year = f"try_cast(substring_index({text}, '-', 1) AS int)"
    rest = f"replace(substring({text}, instr({text}, '-')), ' BC', '')"
    return f"CASE WHEN endswith({text}, ' BC') THEN concat(format_string('-%04d', {year} - 1), {rest}) ELSE {text} END"
