"""One table: which PostgreSQL type a Spark type becomes, and into which others it fits."""

from __future__ import annotations

from pyspark.sql import types as t

from jobs.dbaccess.catalog import Column

_INTEGERS = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
_FRACTIONS = frozenset({"numeric", "float4", "float8"})
_MOMENTS = frozenset({"timestamp", "timestamptz"})

# Spark type -> the type of a column made for it, and pg_type's names of the types that take it.
# A fraction does not go into an integer, nor a moment into a date: that loses something in every row.
# Numbers of another width do: what overflows is refused by the server, by column.
_TYPES: dict[type[t.DataType], tuple[str, frozenset[str]]] = {
    t.BooleanType: ("boolean", frozenset({"bool"})),
    t.ByteType: ("smallint", _INTEGERS),
    t.ShortType: ("smallint", _INTEGERS),
    t.IntegerType: ("integer", _INTEGERS),
    t.LongType: ("bigint", _INTEGERS),
    t.FloatType: ("real", _FRACTIONS),
    t.DoubleType: ("double precision", _FRACTIONS),
    t.BinaryType: ("bytea", frozenset({"bytea"})),
    t.DateType: ("date", frozenset({"date"}) | _MOMENTS),
    t.TimestampType: ("timestamp with time zone", _MOMENTS),
    t.TimestampNTZType: ("timestamp without time zone", _MOMENTS),
}

TEXT_CATEGORY = "S"
"""pg_type's typcategory of every kind of text."""


def column_type(spark_type: t.DataType) -> str | None:
    """The PostgreSQL type of a column that is made for a Spark type, or None where there is none yet."""
    if isinstance(spark_type, t.StringType):
        return "text"
    if isinstance(spark_type, t.DecimalType):
        return f"numeric({spark_type.precision},{spark_type.scale})"
    known = _TYPES.get(type(spark_type))
    return known[0] if known else None


def fits(spark_type: t.DataType, column: Column) -> bool:
    """Whether values of a Spark type can go into a column that exists.

    A string goes into every type, as the server reads it; every scalar goes into text.
    """
    if isinstance(spark_type, (t.StringType, t.NullType)):
        return True
    if isinstance(spark_type, t.DecimalType):
        return column.category == TEXT_CATEGORY or column.base_type in (_FRACTIONS if spark_type.scale else _INTEGERS)
    known = _TYPES.get(type(spark_type))
    if known is None:
        return False
    to_text = column.category == TEXT_CATEGORY and not isinstance(spark_type, t.BinaryType)
    return to_text or column.base_type in known[1]
