"""Maps PostgreSQL types to Spark types, with the SQL expression in which the server sends each.

This is the inverse of `write_types`. A type without an equivalent in Spark is read as text, which the server can parse
again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql import types as t

from jobs.dbaccess.catalog.kinds import COMPOSITE, HSTORE, SPATIAL, VECTORS
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
            1970-01-01, or NOT_FINITE; elements of an array are dates. For a vector, it is a list of numbers, for
            hstore, a JSON object of texts, and for a composite type, a JSON array of the texts of its fields.
        element: The Spark type of the column, or of the elements of an array.
        dimensions: The dimensions of an array, which is sent as JSON of texts; 0 for other types.
        fields: How the fields of a composite type are read.
    """

    name: str
    sql: str
    element: t.DataType
    dimensions: int = 0
    fields: tuple[ExtractColumn, ...] = ()

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
    column: SourceColumn, *, as_text: bool = False, flat: bool = False, unbounded: t.DecimalType | None = None
) -> ExtractColumn:
    """Return how to read a column.

    Args:
        column: The column of the source.
        as_text: Whether to read it as PostgreSQL prints it, whatever its type.
        flat: Whether to read it so if its type has a kind: composite types, hstore, vectors, geometries.
        unbounded: The type for a numeric without precision that is not an array; None for text.
    """
    name = quote_name(column.name)
    if as_text:
        return ExtractColumn(column.name, f"{name}::pg_catalog.text", t.StringType())
    scalar = BaseType(column.scalar.base, column.scalar.modifier) if flat else column.scalar
    return _read(replace(column, scalar=scalar), name, unbounded)


def _read(column: SourceColumn, name: str, unbounded: t.DecimalType | None = None, level: int = 0) -> ExtractColumn:
    """Return how to read a column, or a field of a composite type.

    Args:
        column: The column or field.
        name: The SQL expression for its value.
        unbounded: As for `extract_column`.
        level: How many arrays of composites are around it.
    """
    scalar, dimensions = column.scalar, column.dimensions
    if scalar.kind == COMPOSITE and scalar.fields and dimensions <= 1:
        return _composite(column, name, level)
    element = _scalar(scalar, unbounded, is_element=dimensions > 0)
    if dimensions:
        through = "json[]::pg_catalog." if scalar.kind == HSTORE else ""
        texts = f"{name}::pg_catalog.{through}text[]"
        return ExtractColumn(column.name, _array_as_json(name, dimensions, texts), element, dimensions)
    if element is unbounded:
        return ExtractColumn(column.name, _exactly(name, unbounded.scale), element)
    return ExtractColumn(column.name, _sent(scalar, name), element)


def _sent(scalar: BaseType, name: str) -> str:
    """Return the expression in which the server sends a value that is no array."""
    if scalar.base == "timestamptz":  # the session keeps the role's time zone for views and filters
        return f"{name} AT TIME ZONE 'UTC'"
    if scalar.base == "date":
        return _days(name)
    if scalar.kind == HSTORE:
        return f"{name}::pg_catalog.json"
    return f"{name}::pg_catalog.bytea" if scalar.kind in SPATIAL else name


def _composite(column: SourceColumn, name: str, level: int) -> ExtractColumn:
    """Return how to read a composite type, or an array of one dimension of it: a value is the texts of its fields.

    IS NULL would also be true for a value whose fields are all NULL.
    """
    place = quote_name(f"pgjobs place {level}")
    value = f"({name})[{place}]" if column.dimensions else name
    fields = tuple(
        _read(field, f"({value}).{quote_name(field.name)}", level=level + 1) for field in column.scalar.fields
    )
    texts = ", ".join(f"({field.sql})::pg_catalog.text" for field in fields)
    row = f"pg_catalog.array_to_json(ARRAY[{texts}])::pg_catalog.text"
    sql = f"CASE WHEN {value} IS DISTINCT FROM NULL THEN {row} END"
    if column.dimensions:
        items = f"pg_catalog.generate_subscripts({name}, 1) AS pgjobs_items ({place})"
        sql = _array_as_json(name, 1, f"ARRAY(SELECT {sql} FROM {items} ORDER BY {place})")
    struct = t.StructType([t.StructField(field.name, field.spark_type) for field in fields])
    return ExtractColumn(column.name, sql, struct, column.dimensions, fields)


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


def _scalar(base_type: BaseType, unbounded: t.DecimalType | None, *, is_element: bool = False) -> t.DataType:
    if base_type.kind in VECTORS:
        return t.ArrayType(t.FloatType())
    if base_type.kind == HSTORE:
        return t.MapType(t.StringType(), t.StringType())
    if base_type.kind in SPATIAL and not is_element:
        return t.BinaryType()
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


def _array_as_json(name: str, dimensions: int, texts: str) -> str:
    """Return an array as nested JSON arrays of texts, which are exact for any element type.

    Args:
        name: The expression for the array.
        dimensions: Those that it is to have.
        texts: The expression for an array of the texts of its elements.

    No literal contains a backslash, which the role's standard_conforming_strings could make an escape.
    """
    shape = "^" + "([[]1:[0-9]+[]])" * dimensions + "$"
    dims = f"pg_catalog.array_dims({name})"
    return (
        f"CASE WHEN pg_catalog.cardinality({name}) OPERATOR(pg_catalog.=) 0 OR {dims} OPERATOR(pg_catalog.~) '{shape}' "
        f"THEN pg_catalog.array_to_json({texts})::pg_catalog.text "
        f"WHEN {name} IS NOT NULL THEN '{WRONG_SHAPE}' OPERATOR(pg_catalog.||) {dims} END"
    )
