"""How the columns of data differ from those of a table, and which types hold the values of both without a loss.

What decides is the type of the data, not its values. A type is never narrowed, and no number becomes text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from pyspark.sql import types as t

from jobs.copyformat.match_columns import columns_named
from jobs.copyformat.write_types import is_string
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.load.definitions.alterations import Widened

_WHOLE: Mapping[str, str] = {"smallint": "int2", "integer": "int4", "bigint": "int8"}
"""Integers from the narrowest on, with pg_type's names."""

_INTEGERS: Mapping[type[t.DataType], tuple[str, int]] = {
    t.ByteType: ("smallint", 3),
    t.ShortType: ("smallint", 5),
    t.IntegerType: ("integer", 10),
    t.LongType: ("bigint", 19),
}
"""Spark's integers: the type that holds all of their values, and their digits."""

_DIGITS: Mapping[str, int] = {"smallint": 4, "integer": 9, "bigint": 18}
"""How many digits any number may have that fits."""

_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
_TEXT = re.compile(r"character( varying)?\((\d+)\)")
_DECLARED = re.compile(r"(var)?char\((\d+)\)", re.IGNORECASE)
_DECLARED_IN = "__CHAR_VARCHAR_TYPE_STRING"
"""In a field's metadata: the type that Spark shows as string."""

_MOST_DIGITS, _LONGEST_TEXT = 1000, 10_485_760
"""PostgreSQL's limits of numeric(p,s) and varchar(n)."""


@dataclass(frozen=True)
class Drift:
    """How data differs from a table.

    Attributes:
        unknown: The columns of the data that the table lacks, under their names as written or ignoring case.
        widened: The columns of the table whose type does not hold all values of the data's type.
    """

    unknown: tuple[t.StructField, ...]
    widened: tuple[Widened, ...]


def drift(schema: t.StructType, table: Table) -> Drift:
    """Compare the columns of data with those of a table."""
    named = [(field, columns_named(field.name, table.columns)) for field in schema]
    pairs = [(columns[0], wider(field, columns[0])) for field, columns in named if len(columns) == 1]
    return Drift(
        tuple(field for field, columns in named if not columns),
        tuple(Widened(before, after) for before, after in pairs if after is not None and not before.generated),
    )


def wider(field: t.StructField, column: Column) -> Column | None:
    """Return the column with a type for all of its values and all of the field's.

    None if it has such a type already, or if there is none that keeps each value what it is.
    """
    kind = field.dataType
    if is_string(kind):
        type_name, base = _wider_text(field, column)
    elif column.type_name in _WHOLE:
        type_name, base = _wider_integer(kind, column)
    elif column.type_name == "real" and isinstance(kind, t.DoubleType):
        type_name, base = "double precision", "float8"
    else:
        type_name, base = _wider_numeric(kind, column), column.base_type
    return replace(column, type_name=type_name, base_type=base) if type_name != column.type_name else None


def _wider_integer(kind: t.DataType, column: Column) -> tuple[str, str]:
    order = list(_WHOLE)
    needed = _INTEGERS[type(kind)][0] if type(kind) in _INTEGERS else ""
    if isinstance(kind, t.DecimalType) and kind.scale == 0:
        needed = next((name for name, digits in _DIGITS.items() if kind.precision <= digits), "")
    wins = needed if needed and order.index(needed) > order.index(column.type_name) else column.type_name
    return wins, _WHOLE[wins]


def _wider_numeric(kind: t.DataType, column: Column) -> str:
    """Return numeric(p,s) with as many digits before and after the point as both need."""
    found = _NUMERIC.fullmatch(column.type_name)
    needed = _digits(kind)
    if found is None or needed is None:
        return column.type_name
    precision, scale = int(found[1]), int(found[2])
    if scale > precision:
        return column.type_name
    fraction = max(scale, needed[1])
    total = max(precision - scale, needed[0]) + fraction
    return f"numeric({total},{fraction})" if total <= _MOST_DIGITS else column.type_name


def _digits(kind: t.DataType) -> tuple[int, int] | None:
    """Return how many digits the values of a type have at most, before and after the point; None for other types."""
    if isinstance(kind, t.DecimalType):
        return kind.precision - kind.scale, max(kind.scale, 0)
    return (_INTEGERS[type(kind)][1], 0) if type(kind) in _INTEGERS else None


def _wider_text(field: t.StructField, column: Column) -> tuple[str, str]:
    """Return the type of longer text. Of a plain string, nobody knows the length: char(n) stays as it is for these."""
    same = column.type_name, column.base_type
    found = _TEXT.fullmatch(column.type_name)
    if found is None:
        return same
    varies, length = bool(found[1]), int(found[2])
    declared = _declared(field)
    if declared is None:
        return ("text", "text") if varies else same
    data_varies, size = declared
    if size <= length:
        return same
    if size > _LONGEST_TEXT:
        return ("text", "text") if varies else same
    if varies:
        return f"character varying({size})", column.base_type
    return same if data_varies else (f"character({size})", column.base_type)


def _declared(field: t.StructField) -> tuple[bool, int] | None:
    """Return the declared length of a string, and whether it is that of a varchar; None if none is declared."""
    kind = field.dataType
    if isinstance(kind, (t.CharType, t.VarcharType)):
        return isinstance(kind, t.VarcharType), int(kind.length)
    found = _DECLARED.fullmatch(str((field.metadata or {}).get(_DECLARED_IN, "")))
    return (bool(found[1]), int(found[2])) if found else None
