"""One table: which PostgreSQL type a Spark type becomes, and into which others it fits."""

from __future__ import annotations

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
    """What a Spark type becomes.

    Attributes:
        name: the type of a column that is made for it, as SQL writes it.
        base: pg_type's name of the same.
        takers: pg_type's names of the types that take its values, beside text.
    """

    name: str
    base: str
    takers: frozenset[str]


# A fraction does not go into an integer, nor a moment into a date: that loses something in every row.
# Numbers of another width do: what overflows is refused by the server, by column.
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
"""Types of which text is not one obvious form."""


def is_string(spark_type: t.DataType) -> bool:
    """Whether values are text, of whatever length."""
    return isinstance(spark_type, (t.StringType, t.CharType, t.VarcharType))


def by_bytes(spark_type: t.DataType) -> t.DataType:
    """The same type with Spark 4's collations left out, however deep.

    Where a string has one, `replace`, `contains` and `instr` follow it, and take other characters for the same.
    """
    if isinstance(spark_type, t.ArrayType):
        return t.ArrayType(by_bytes(spark_type.elementType), spark_type.containsNull)
    if isinstance(spark_type, t.MapType):
        kinds = by_bytes(spark_type.keyType), by_bytes(spark_type.valueType)
        return t.MapType(*kinds, spark_type.valueContainsNull)
    if isinstance(spark_type, t.StructType):
        return t.StructType([t.StructField(f.name, by_bytes(f.dataType), f.nullable, f.metadata) for f in spark_type])
    return t.StringType() if getattr(spark_type, "collation", _BY_BYTES) != _BY_BYTES else spark_type


_BY_BYTES = "UTF8_BINARY"


def unfit_for_json(spark_type: t.DataType) -> list[str]:
    """What of a type JSON cannot hold without loss, however deep: fields of the same name, keys without a text."""
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
    """The type of an array's elements, however deep, or the type itself."""
    while isinstance(spark_type, t.ArrayType):
        spark_type = spark_type.elementType
    return spark_type


def column_type(spark_type: t.DataType) -> ColumnType | None:
    """What a type that is no array becomes, or None where PostgreSQL has nothing like it."""
    if is_string(spark_type):
        return ColumnType("text", "text", frozenset())
    if isinstance(spark_type, t.DecimalType):
        name = f"numeric({spark_type.precision},{spark_type.scale})"
        return ColumnType(name, "numeric", _FRACTIONS if spark_type.scale else _INTEGERS)
    return _COLUMN_TYPES.get(type(spark_type))


def new_column(name: str, spark_type: t.DataType) -> Column | None:
    """The column that is made for a Spark type, or None where there is none. PostgreSQL's arrays have any depth."""
    made = column_type(innermost(spark_type))
    if made is None:
        return None
    category = TEXT_CATEGORY if made.base == "text" else ""
    if isinstance(spark_type, t.ArrayType):
        return Column(name, f"{made.name}[]", f"_{made.base}", "A", element=made.base, element_category=category)
    return Column(name, made.name, made.base, category)


def fits(spark_type: t.DataType, column: Column) -> bool:
    """Whether values of a Spark type can go into a column that exists.

    A string goes into every type, as the server reads it; every scalar goes into text.
    """
    if is_string(spark_type) or isinstance(spark_type, t.NullType):
        return True
    if isinstance(spark_type, t.ArrayType):
        inner = innermost(spark_type)
        known = column_type(inner) is not None
        if column.base_type in JSON:
            return known
        return bool(column.element) and known and _fits(inner, column.element, column.element_category)
    return _fits(spark_type, column.base_type, column.category)


def _fits(spark_type: t.DataType, base_type: str, category: str) -> bool:
    made = column_type(spark_type)
    if made is None:
        return False
    to_text = category == TEXT_CATEGORY and not isinstance(spark_type, NO_TEXT)
    return is_string(spark_type) or to_text or base_type in made.takers
