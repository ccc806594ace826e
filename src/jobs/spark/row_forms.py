"""The form in which each loaded column is hashed, by Spark's type and by what the column may change in a value.

A form gives the same text for what Spark intends and for what the server stores, even if the column rounds a number, a
timestamp or pads a text. If Spark cannot predict what the server makes of a value, the form is PRESENCE, and the report
names the column.
"""

from __future__ import annotations

import re

from pyspark.sql import types as t

from jobs.copyformat.match_columns import Match
from jobs.copyformat.write_types import JSON, is_string
from jobs.dbaccess.catalog.kinds import VECTOR as PGVECTOR
from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.load.row_text import (
    ARRAY,
    BYTES,
    CUT,
    DAY,
    DECIMAL,
    FLOAT4,
    FLOAT8,
    INTERVAL,
    PADDED,
    PLAIN,
    PRESENCE,
    ROUNDED,
    TEXT,
    TIMESTAMP,
    TRIMMED,
    UUID,
    VECTOR,
    Form,
)

_UNKNOWN = Form(PRESENCE)
_INTEGERS = {"int2", "int4", "int8"}
_WHOLE_NUMBERS = (t.ByteType, t.ShortType, t.IntegerType, t.LongType)
_BITS = {"float4": FLOAT4, "float8": FLOAT8}
_TEXTS = {"text", "citext", "varchar", "bpchar"}
_LENGTH = re.compile(r"character( varying)?\((\d+)\)$")
_NUMERIC = re.compile(r"numeric(?:\((\d+),(-?\d+)\))?$")
_TIMESTAMP = re.compile(r"timestamp(?:\((\d)\))? with(?:out)? time zone$")
_MOST_DIGITS = 38
_MICROSECONDS = 6


def form_of(match: Match) -> Form:
    """Return the form of a column's values."""
    kind, column = match.spark_type, match.target
    if column.kind:  # a composite type may have any name, also that of a type below
        is_vector = column.kind == PGVECTOR and not column.element and isinstance(kind, t.ArrayType)
        return Form(VECTOR, element=Form(FLOAT4)) if is_vector else _UNKNOWN
    if isinstance(kind, t.ArrayType) and column.element:
        return _array(kind, column)
    return _form(kind, column.base_type, column.category, column.type_name)


def _array(kind: t.ArrayType, column: Column) -> Form:
    inner: t.DataType = kind
    while isinstance(inner, t.ArrayType):
        inner = inner.elementType
    element = _form(inner, column.element, column.element_category, column.type_name.rstrip("[]"))
    return Form(ARRAY, element=element) if element.is_compared else _UNKNOWN


def _form(kind: t.DataType, base: str, category: str, type_name: str) -> Form:
    if base in _TEXTS:
        return _of_text(base, type_name)
    if is_string(kind):
        return _of_string(base, category)
    if isinstance(kind, (t.NumericType, t.BooleanType)):
        return _of_number(kind, base, type_name)
    if isinstance(kind, t.BinaryType) and base == "bytea":
        return Form(BYTES)
    if isinstance(kind, (t.StructType, t.MapType, t.ArrayType)) and base == "json":
        return Form(TEXT)  # the column stores the text that it receives
    return _of_time(kind, base, type_name)


def _of_text(base: str, type_name: str) -> Form:
    """Return the form of text, which is sent unchanged. The length of a domain is not known."""
    found = _LENGTH.match(type_name)
    if found:
        return Form(CUT if found.group(1) else PADDED, int(found.group(2)))
    return Form(TEXT) if base in ("text", "citext") or type_name == "character varying" else Form(TRIMMED)


def _of_string(base: str, category: str) -> Form:
    """Return the form of a string, which the server parses. Spark can predict little of the result."""
    if base == "uuid":
        return Form(UUID)
    return Form(TEXT) if category == _ENUM or base in JSON - {"jsonb"} else _UNKNOWN


_ENUM = "E"
"""pg_type's typcategory."""


def _of_number(kind: t.DataType, base: str, type_name: str) -> Form:
    if isinstance(kind, t.BooleanType):
        return Form(PLAIN) if base == "bool" else _UNKNOWN
    if base in _INTEGERS:
        return Form(PLAIN)
    if base in _BITS:
        return Form(_BITS[base])
    found = _NUMERIC.match(type_name)
    if base != "numeric" or found is None or isinstance(kind, (t.FloatType, t.DoubleType)):
        return _UNKNOWN
    digits = kind.scale if isinstance(kind, t.DecimalType) else 0
    stated = None if found.group(2) is None else int(found.group(2))
    kept = digits if stated is None else min(digits, stated)
    if kept < 0:
        return _UNKNOWN
    return Form(DECIMAL if kept == stated else ROUNDED, kept)


def _of_time(kind: t.DataType, base: str, type_name: str) -> Form:
    if isinstance(kind, t.DateType) and base == "date":
        return Form(DAY)
    if isinstance(kind, (t.DateType, t.TimestampType, t.TimestampNTZType)):
        found = _TIMESTAMP.match(type_name)
        return Form(TIMESTAMP, int(found.group(1) or _MICROSECONDS)) if found else _UNKNOWN
    if isinstance(kind, (t.DayTimeIntervalType, t.YearMonthIntervalType)):
        return Form(INTERVAL) if type_name == "interval" else _UNKNOWN
    return Form(PLAIN) if type_name == "time without time zone" else _UNKNOWN
