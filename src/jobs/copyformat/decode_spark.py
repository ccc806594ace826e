"""The text of a cell as the value that it stands for, by Spark's own expressions: the way back of `encode_spark`.

A text that Spark cannot hold as the wanted type is an error, never NULL. The expressions are SQL, for Spark 3.5 has
try_cast nowhere else.
"""

from __future__ import annotations

import re

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat.copy_text import NULL, load, replace_by_spark
from jobs.copyformat.read_types import WRONG_SHAPE, ExtractColumn

_REFUSED = "pgjobs refused column "
_FOUND = re.compile(_REFUSED + r"(\d+)")


def refusal(name: str) -> tuple[str, str]:
    """The message and the hint of the error that tells of a column with a value that Spark cannot hold."""
    what = "infinity, NaN, too many digits, or an array of other dimensions than declared"
    return (
        f'The column "{name}" holds a value that its type in Spark cannot: {what}.',
        f"Read it as text: --text-columns {name}.",
    )


def refused(message: str) -> int | None:
    """The place of the column that an error of Spark's is about; None for other errors."""
    found = _FOUND.search(message)
    return int(found.group(1)) if found else None


def cell(raw: Column, column: ExtractColumn) -> Column:
    """What stands between two tabs as text without escapes, or NULL."""
    if not column.dimensions and not isinstance(column.element, (t.StringType, t.BinaryType)):
        # Numbers, dates and the like hold nothing to escape. (Spark 3.5's nullif fails of a column that is computed.)
        return f.when(raw != NULL, raw)
    return f.when(raw == NULL, None).when(raw.contains("\\"), load(raw, replace_by_spark)).otherwise(raw)


def value(text: str, column: ExtractColumn, place: int) -> str:
    """The SQL expression of a cell's value.

    Args:
        text: the name of the cell's column, which holds its text, or NULL.
        column: what it is.
        place: of the column, for the error that tells of it.
    """
    if column.dimensions == 0:
        return _scalar(text, column.element, place, zone="Z")
    texts = "array<" * column.dimensions + "string" + ">" * column.dimensions
    values = _elements(f"from_json({text}, '{texts}', map('mode', 'FAILFAST'))", column, place, column.dimensions)
    return f"CASE WHEN startswith({text}, '{WRONG_SHAPE}') THEN {_raise(place)} ELSE {values} END"


def _elements(array: str, column: ExtractColumn, place: int, depth: int) -> str:
    if isinstance(column.element, t.StringType):
        return array
    item = f"item{depth}"
    inner = _scalar(item, column.element, place) if depth == 1 else _elements(item, column, place, depth - 1)
    return f"transform({array}, {item} -> {inner})"


def _scalar(text: str, kind: t.DataType, place: int, zone: str = "") -> str:
    if isinstance(kind, t.StringType):
        return text
    if isinstance(kind, t.BinaryType):
        return f"unhex(substring({text}, 3))"  # after \x
    if isinstance(kind, t.DecimalType):
        value = f"try_cast({text} AS {kind.simpleString()})"
    elif type(kind) in _TIMESTAMPS:
        value = _timestamp(text, _TIMESTAMPS[type(kind)], zone if isinstance(kind, t.TimestampType) else "")
    else:
        return f"CAST({text} AS {kind.simpleString()})"  # the server's type is the same: it cannot fail
    return f"coalesce({value}, if({text} IS NULL, NULL, {_raise(place)}))"


# By name: what `timestamp` means is for spark.sql.timestampType to say.
_TIMESTAMPS: dict[type[t.DataType], str] = {
    t.DateType: "date",
    t.TimestampType: "timestamp_ltz",
    t.TimestampNTZType: "timestamp_ntz",
}


def _timestamp(text: str, kind: str, zone: str) -> str:
    """A date or a timestamp. Casts know years before 1 as 0, -1, and so on, and heed no timeParserPolicy.

    Kept short: with each type's expression Spark's generated method grows (see `codegen`).
    """
    year = f"lpad(string(int(substring({text}, 1, 4)) - 1), 4, '0')"
    counted = f"if(endswith({text}, ' BC'), concat('-', {year}, replace(substring({text}, 5), ' BC')), {text})"
    return f"try_cast(concat({counted}, '{zone}') AS {kind})" if zone else f"try_cast({counted} AS {kind})"


def _raise(place: int) -> str:
    return f"raise_error('{_REFUSED}{place}.')"
