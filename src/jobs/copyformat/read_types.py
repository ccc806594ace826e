"""Maps PostgreSQL types to Spark types, with the SQL expression in which the server sends each.

This is the inverse of `write_types`. A type without an equivalent in Spark is read as text, which the server can parse
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import types as t

from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.dbaccess.sql import quote_name

MAX_PRECISION = 38
"""The maximum number of digits of Spark's decimals."""

_SCALARS: dict[str, t.DataType] = {
    "bool": t.BooleanType(),
    "int2": t.ShortType(),
    "int4": t.IntegerType(),
    "int8": t.LongType(),
    "float4": t.FloatType(),
    "float8": t.DoubleType(),
    "bytea": t.BinaryType(),
    "date": t.DateType(),
    "timestamp": t.TimestampNTZType(),
    "timestamptz": t.TimestampType(),
}


@dataclass(frozen=True)
class ExtractColumn:
    """How a column is read.

    Attributes:
        sql: The expression that the server evaluates. For a timestamptz, it is the time in UTC without an offset;
            elements of an array have the offset of the session time zone. For a date, it is the number of days from
            1970-01-01, or NOT_FINITE; elements of an array are dates.
        element: The Spark type of the column, or of the elements of an array.
        dimensions: The dimensions of an array, which is sent as JSON of texts; 0 for other types.
    """

    name: str
    sql: str
    element: t.DataType
    dimensions: int = 0

    @property
    def spark_type(self) -> t.DataType:
        """Return the Spark type of the column."""
        spark_type = self.element
        for _ in range(self.dimensions):
            spark_type = t.ArrayType(spark_type)
        return spark_type


def schema_of(columns: tuple[ExtractColumn, ...]) -> t.StructType:
    """Return the schema of the columns."""
    return t.StructType([t.StructField(column.name, column.spark_type) for column in columns])


def extract_column(
    column: SourceColumn, *, as_text: bool = False, unbounded: t.DecimalType | None = None
) -> ExtractColumn:
    """Return how to read a column.

    Args:
        column: The column of the source.
        as_text: Whether to read it as PostgreSQL prints it, whatever its type.
        unbounded: The type for a numeric without precision that is not an array; None for text.
    """
    name = quote_name(column.name)
    if as_text:
        return ExtractColumn(column.name, f"{name}::pg_catalog.text", t.StringType())
    element = _scalar(column.scalar, unbounded)
    if column.dimensions:
        return ExtractColumn(column.name, _array_as_json(name, column.dimensions), element, column.dimensions)
    if element is unbounded:
        return ExtractColumn(column.name, _exactly(name, unbounded.scale), element)
    if column.scalar.base == "timestamptz":  # the session keeps the role's time zone for views and filters
        return ExtractColumn(column.name, f"{name} AT TIME ZONE 'UTC'", element)
    if column.scalar.base == "date":
        return ExtractColumn(column.name, _days(name), element)
    return ExtractColumn(column.name, name, element)


NOT_FINITE = 2_147_483_647
"""The number in place of an infinite date. PostgreSQL's last date is day 2,145,042,905."""


def _days(name: str) -> str:
    """Return a date's number, which the server writes, and everybody parses, in less time than a date."""
    days = f"{name} OPERATOR(pg_catalog.-) '1970-01-01'::pg_catalog.date"
    return f"CASE WHEN pg_catalog.isfinite({name}) THEN {days} WHEN {name} IS NOT NULL THEN {NOT_FINITE} END"


def _exactly(name: str, scale: int) -> str:
    """Return a number's text, made invalid if it has digits beyond the scale, which Spark would round."""
    beyond = f"{name} OPERATOR(pg_catalog.<>) pg_catalog.round({name}, {scale})"
    return f"{name}::pg_catalog.text OPERATOR(pg_catalog.||) CASE WHEN {beyond} THEN '!' ELSE '' END"


def _scalar(base_type: BaseType, unbounded: t.DecimalType | None) -> t.DataType:
    if base_type.base == "numeric":
        return _decimal(base_type.precision_and_scale) or unbounded or t.StringType()
    return _SCALARS.get(base_type.base, t.StringType())


def _decimal(bounds: tuple[int, int] | None) -> t.DecimalType | None:
    """Return the decimal that can represent every numeric(precision, scale); None if there is none.

    Since PostgreSQL 15, the scale may be negative, or greater than the precision.
    """
    if bounds is None:
        return None
    precision, scale = bounds
    digits = max(precision, scale, precision - scale)
    return t.DecimalType(digits, max(scale, 0)) if digits <= MAX_PRECISION else None


WRONG_SHAPE = "!"
"""The prefix of the text of an array whose dimensions or lower bounds Spark's arrays cannot represent."""


def _array_as_json(name: str, dimensions: int) -> str:
    """Return an array as nested JSON arrays of texts, which are exact for any element type.

    No literal contains a backslash, which the role's standard_conforming_strings could make an escape.
    """
    shape = "^" + "([[]1:[0-9]+[]])" * dimensions + "$"
    dims = f"pg_catalog.array_dims({name})"
    return (
        f"CASE WHEN pg_catalog.cardinality({name}) OPERATOR(pg_catalog.=) 0 OR {dims} OPERATOR(pg_catalog.~) '{shape}' "
        f"THEN pg_catalog.array_to_json({name}::pg_catalog.text[])::pg_catalog.text "
        f"WHEN {name} IS NOT NULL THEN '{WRONG_SHAPE}' OPERATOR(pg_catalog.||) {dims} END"
    )
