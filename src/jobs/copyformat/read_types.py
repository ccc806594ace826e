"""What a PostgreSQL type becomes in Spark, and in which form the server is to write it.

The way back of `types`: what has no equal in Spark comes as text, which the server reads again as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import types as t

from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.dbaccess.sql import quote_name

MAX_PRECISION = 38
"""Digits of Spark's decimals."""

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
        sql: the expression that the server is to evaluate. Of a timestamptz it is the time in UTC, without an offset;
            elements of an array have the offset of the session's time zone.
        element: what it becomes in Spark, or what an array's elements do.
        dimensions: of an array, which comes as JSON of texts; 0 for what is none.
    """

    name: str
    sql: str
    element: t.DataType
    dimensions: int = 0

    @property
    def spark_type(self) -> t.DataType:
        """What the column becomes."""
        made = self.element
        for _ in range(self.dimensions):
            made = t.ArrayType(made)
        return made


def schema_of(columns: tuple[ExtractColumn, ...]) -> t.StructType:
    """The schema of what is read."""
    return t.StructType([t.StructField(column.name, column.spark_type) for column in columns])


def extract_column(
    column: SourceColumn, *, as_text: bool = False, unbounded: t.DecimalType | None = None
) -> ExtractColumn:
    """How to read a column.

    Args:
        column: of the source.
        as_text: as PostgreSQL writes it, whatever its type.
        unbounded: what numeric without precision becomes that is no array; text where this is None.
    """
    name = quote_name(column.name)
    if as_text:
        return ExtractColumn(column.name, f"{name}::pg_catalog.text", t.StringType())
    element = _scalar(column.scalar, unbounded)
    if column.dimensions:
        return ExtractColumn(column.name, _array_as_json(name, column.dimensions), element, column.dimensions)
    if element is unbounded:
        return ExtractColumn(column.name, _exactly(name, unbounded.scale), element)
    if column.scalar.base == "timestamptz":  # the session's time zone is the role's, for views and filters see it
        return ExtractColumn(column.name, f"{name} AT TIME ZONE 'UTC'", element)
    return ExtractColumn(column.name, name, element)


def _exactly(name: str, scale: int) -> str:
    """A number's text; one with digits beyond the scale, which Spark would round, is made none."""
    beyond = f"{name} OPERATOR(pg_catalog.<>) pg_catalog.round({name}, {scale})"
    return f"{name}::pg_catalog.text OPERATOR(pg_catalog.||) CASE WHEN {beyond} THEN '!' ELSE '' END"


def _scalar(kind: BaseType, unbounded: t.DecimalType | None) -> t.DataType:
    if kind.base == "numeric":
        return _decimal(kind.precision_and_scale) or unbounded or t.StringType()
    return _SCALARS.get(kind.base, t.StringType())


def _decimal(bounds: tuple[int, int] | None) -> t.DecimalType | None:
    """The decimal that holds every value of numeric(precision, scale); None where there is none.

    From PostgreSQL 15 on, the scale may be negative, or greater than the precision.
    """
    if bounds is None:
        return None
    precision, scale = bounds
    digits = max(precision, scale, precision - scale)
    return t.DecimalType(digits, max(scale, 0)) if digits <= MAX_PRECISION else None


WRONG_SHAPE = "!"
"""What an array's text begins with that has other dimensions, or other lower bounds, than Spark's arrays can hold."""


def _array_as_json(name: str, dimensions: int) -> str:
    """An array as nested JSON arrays of texts: whatever the elements are, their text is exact.

    No literal holds a backslash, which the role's standard_conforming_strings may make an escape.
    """
    shape = "^" + "([[]1:[0-9]+[]])" * dimensions + "$"
    dims = f"pg_catalog.array_dims({name})"
    return (
        f"CASE WHEN pg_catalog.cardinality({name}) OPERATOR(pg_catalog.=) 0 OR {dims} OPERATOR(pg_catalog.~) '{shape}' "
        f"THEN pg_catalog.array_to_json({name}::pg_catalog.text[])::pg_catalog.text "
        f"WHEN {name} IS NOT NULL THEN '{WRONG_SHAPE}' OPERATOR(pg_catalog.||) {dims} END"
    )
