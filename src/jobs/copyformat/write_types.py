"""Maps Spark types to PostgreSQL types: which type a new column gets, and which existing types accept the values."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from pyspark.sql import types as t

from jobs.dbaccess.catalog.tables import Column

_INTEGERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_FRACTIONS = frozenset({"numeric", "float4", "float8"})
_TIMESTAMPS = frozenset({"timestamp", "timestamptz"})
JSON = frozenset({"json", "jsonb"})

TEXT_CATEGORY = "S"
"""pg_type's typcategory of every kind of text."""


@dataclass(frozen=True)
class ColumnType:
    """The PostgreSQL type for a Spark type.

    Attributes:
        name: The type of a new column, as SQL writes it.
        base: pg_type's name of the same type.
        takers: pg_type's names of the types that accept the values, in addition to text.
    """

    name: str
    base: str
    takers: frozenset[str]


# A fraction does not go into an integer, nor a timestamp into a date: that would lose something in every row. Numbers
# of another width do: the server rejects what overflows, and names the column.
_COLUMN_TYPES: dict[type[t.DataType], ColumnType] = {
    t.BooleanType: ColumnType("boolean", "bool", frozenset({"bool"})),
    t.ByteType: ColumnType("smallint", "int2", _INTEGERS),
    t.ShortType: ColumnType("smallint", "int2", _INTEGERS),
    t.IntegerType: ColumnType("integer", "int4", _INTEGERS),
    t.LongType: ColumnType("bigint", "int8", _INTEGERS),
    t.FloatType: ColumnType("real", "float4", _FRACTIONS),
    t.DoubleType: ColumnType("double precision", "float8", _FRACTIONS),
    t.BinaryType: ColumnType("bytea", "bytea", frozenset({"bytea"})),
    t.DateType: ColumnType("date", "date", frozenset({"date"}) | _TIMESTAMPS),
    t.TimestampType: ColumnType("timestamp with time zone", "timestamptz", _TIMESTAMPS),
    t.TimestampNTZType: ColumnType("timestamp without time zone", "timestamp", _TIMESTAMPS),
    t.DayTimeIntervalType: ColumnType("interval", "interval", frozenset({"interval"})),
    t.YearMonthIntervalType: ColumnType("interval", "interval", frozenset({"interval"})),
    t.StructType: ColumnType("jsonb", "jsonb", JSON),
    t.MapType: ColumnType("jsonb", "jsonb", JSON),
}
if hasattr(t, "VariantType"):  # Spark 4
    _COLUMN_TYPES[t.VariantType] = ColumnType("jsonb", "jsonb", JSON)
if hasattr(t, "TimeType"):  # Spark 4.1
    _COLUMN_TYPES[t.TimeType] = ColumnType("time without time zone", "time", frozenset({"time"}))

NO_TEXT = (t.BinaryType, t.StructType, t.MapType)
"""Types without an obvious text form."""


def is_string(spark_type: t.DataType) -> bool:
    """Return whether values are text, of any length."""
    return isinstance(spark_type, (t.StringType, t.CharType, t.VarcharType))


def by_bytes(spark_type: t.DataType) -> t.DataType:
    """Return the type without Spark 4's collations, at any depth.

    In a string with a collation, `replace`, `contains` and `instr` follow it, and treat different characters as equal.
    """
    if isinstance(spark_type, t.ArrayType):
        return t.ArrayType(by_bytes(spark_type.elementType), spark_type.containsNull)
    if isinstance(spark_type, t.MapType):
        key_and_value = by_bytes(spark_type.keyType), by_bytes(spark_type.valueType)
        return t.MapType(*key_and_value, spark_type.valueContainsNull)
    if isinstance(spark_type, t.StructType):
        return t.StructType([t.StructField(f.name, by_bytes(f.dataType), f.nullable, f.metadata) for f in spark_type])
    return t.StringType() if getattr(spark_type, "collation", _BY_BYTES) != _BY_BYTES else spark_type


_BY_BYTES = "UTF8_BINARY"


def unfit_for_json(spark_type: t.DataType) -> list[str]:
    """Return what in a type JSON cannot represent exactly, at any depth: fields of one name, keys without a text."""
    if isinstance(spark_type, t.ArrayType):
        return unfit_for_json(spark_type.elementType)
    if isinstance(spark_type, t.MapType):
        key = spark_type.keyType
        keyed = [f"a map with keys of {key.simpleString()}"] if isinstance(key, _NO_KEYS) or _is_variant(key) else []
        return [*keyed, *unfit_for_json(spark_type.valueType)]
    if isinstance(spark_type, t.StructType):
        repeated = [name for name, count in Counter(spark_type.names).items() if count > 1]
        return [f"a struct with two fields {name!r}" for name in repeated] + [
            problem for field in spark_type for problem in unfit_for_json(field.dataType)
        ]
    return []


_NO_KEYS = (t.BinaryType, t.StructType, t.MapType, t.ArrayType, t.NullType)


def _is_variant(spark_type: t.DataType) -> bool:
    return spark_type.typeName() == "variant"


def innermost(spark_type: t.DataType) -> t.DataType:
    """Return the type of an array's elements, at any depth, or the type itself."""
    while isinstance(spark_type, t.ArrayType):
        spark_type = spark_type.elementType
    return spark_type


def column_type(spark_type: t.DataType) -> ColumnType | None:
    """Return the PostgreSQL type for a type that is not an array, or None if there is none."""
    if is_string(spark_type):
        return ColumnType("text", "text", frozenset())
    if isinstance(spark_type, t.DecimalType):
        name = f"numeric({spark_type.precision},{spark_type.scale})"
        return ColumnType(name, "numeric", _FRACTIONS if spark_type.scale else _INTEGERS)
    return _COLUMN_TYPES.get(type(spark_type))


def new_column(name: str, spark_type: t.DataType) -> Column | None:
    """Return the new column for a Spark type, or None if there is no type. PostgreSQL's arrays have any depth."""
    postgres_type = column_type(innermost(spark_type))
    if postgres_type is None:
        return None
    category = TEXT_CATEGORY if postgres_type.base == "text" else ""
    if isinstance(spark_type, t.ArrayType):
        return Column(
            name,
            f"{postgres_type.name}[]",
            f"_{postgres_type.base}",
            "A",
            element=postgres_type.base,
            element_category=category,
        )
    return Column(name, postgres_type.name, postgres_type.base, category)


def fits(spark_type: t.DataType, column: Column) -> bool:
    """Return whether values of a Spark type can go into an existing column.

    A string goes into every type, which the server parses; every scalar goes into text.
    """
    if is_string(spark_type) or isinstance(spark_type, t.NullType):
        return True
    if not _keeps_fields(innermost(spark_type), column.type_name):
        return False
    if isinstance(spark_type, t.ArrayType):
        inner = innermost(spark_type)
        known = column_type(inner) is not None
        if column.base_type in JSON:
            return known
        return bool(column.element) and known and _fits(inner, column.element, column.element_category)
    return _fits(spark_type, column.base_type, column.category)


def _keeps_fields(spark_type: t.DataType, type_name: str) -> bool:
    """Return whether a column stores all fields of an interval: `interval year` drops the months without a word.

    One that ends with days or hours keeps months, too.
    """
    ends = _ENDS.fullmatch(type_name)
    if ends is None or not isinstance(spark_type, (t.YearMonthIntervalType, t.DayTimeIntervalType)):
        return True
    fields = _MONTHS if isinstance(spark_type, t.YearMonthIntervalType) else _TIMES
    return fields.index(ends[1]) >= spark_type.endField if ends[1] in fields else fields is _MONTHS


_ENDS = re.compile(r"interval (?:\w+ to )?(\w+)(?:\(\d\))?(?:\[\])*")
"""A type of intervals that names the fields that it stores, as `format_type` writes it."""

_MONTHS, _TIMES = ("year", "month"), ("day", "hour", "minute", "second")
"""The fields of Spark's two types of intervals, in the order of their numbers."""


def _fits(spark_type: t.DataType, base_type: str, category: str) -> bool:
    postgres_type = column_type(spark_type)
    if postgres_type is None:
        return False
    to_text = category == TEXT_CATEGORY and not isinstance(spark_type, NO_TEXT)
    return is_string(spark_type) or to_text or base_type in postgres_type.takers
