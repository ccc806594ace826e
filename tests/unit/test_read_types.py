"""What a PostgreSQL type becomes in Spark."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.read_types import extract_column
from jobs.dbaccess.catalog.kinds import COMPOSITE, GEOMETRY, HALFVEC, HSTORE, VECTOR
from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn


def numeric(precision: int, scale: int) -> BaseType:
    """PostgreSQL packs both into the modifier."""
    return BaseType("numeric", (precision << 16 | scale & 0x7FF) + 4)


@pytest.mark.parametrize(
    ("precision", "scale", "spark_type"),
    [
        (10, 2, t.DecimalType(10, 2)),
        (38, 0, t.DecimalType(38, 0)),
        (38, 38, t.DecimalType(38, 38)),
        (3, -2, t.DecimalType(5, 0)),
        (2, 5, t.DecimalType(5, 5)),
        (1000, -1000, t.StringType()),
        (39, 0, t.StringType()),
        (30, -9, t.StringType()),
    ],
)
def test_numeric_becomes_a_decimal_that_holds_every_value_of_it_or_text(
    precision: int, scale: int, spark_type: t.DataType
) -> None:
    column = SourceColumn("n", "numeric", numeric(precision, scale))
    assert extract_column(column).spark_type == spark_type


@pytest.mark.parametrize(
    ("base", "spark_type"),
    [
        ("bool", t.BooleanType()),
        ("int2", t.ShortType()),
        ("int4", t.IntegerType()),
        ("int8", t.LongType()),
        ("float4", t.FloatType()),
        ("float8", t.DoubleType()),
        ("bytea", t.BinaryType()),
        ("date", t.DateType()),
        ("timestamp", t.TimestampNTZType()),
        ("timestamptz", t.TimestampType()),
        ("numeric", t.StringType()),
        ("uuid", t.StringType()),
        ("a type of nobody's", t.StringType()),
    ],
)
def test_a_type_becomes_its_equal_in_spark_or_text(base: str, spark_type: t.DataType) -> None:
    column = SourceColumn("c", base, BaseType(base))
    assert extract_column(column).spark_type == spark_type
    assert extract_column(column, as_text=True).spark_type == t.StringType()


def test_an_array_is_as_deep_as_it_was_declared() -> None:
    column = SourceColumn("a", "integer[]", BaseType("int4"), 2)
    assert extract_column(column).spark_type == t.ArrayType(t.ArrayType(t.IntegerType()))


def test_unbounded_numeric_becomes_what_is_wished() -> None:
    column = SourceColumn("n", "numeric", BaseType("numeric"))
    assert extract_column(column, unbounded=t.DecimalType(38, 9)).spark_type == t.DecimalType(38, 9)
    assert extract_column(column).spark_type == t.StringType()


INT, TEXTS = SourceColumn("n", "integer", BaseType("int4")), SourceColumn("s", "text[]", BaseType("text"), 1)
PAIR = BaseType("pair", kind=COMPOSITE, fields=(INT, TEXTS))
STRUCT = t.StructType([t.StructField("n", t.IntegerType()), t.StructField("s", t.ArrayType(t.StringType()))])


@pytest.mark.parametrize(
    ("scalar", "dimensions", "spark_type"),
    [
        (BaseType("vector", 3, VECTOR), 0, t.ArrayType(t.FloatType())),
        (BaseType("halfvec", 3, HALFVEC), 0, t.ArrayType(t.FloatType())),
        (BaseType("vector", 3, VECTOR), 1, t.ArrayType(t.ArrayType(t.FloatType()))),
        (BaseType("hstore", -1, HSTORE), 0, t.MapType(t.StringType(), t.StringType())),
        (BaseType("hstore", -1, HSTORE), 2, t.ArrayType(t.ArrayType(t.MapType(t.StringType(), t.StringType())))),
        (BaseType("geometry", -1, GEOMETRY), 0, t.BinaryType()),
        (BaseType("geometry", -1, GEOMETRY), 1, t.ArrayType(t.StringType())),
        (PAIR, 0, STRUCT),
        (PAIR, 1, t.ArrayType(STRUCT)),
        (PAIR, 2, t.ArrayType(t.ArrayType(t.StringType()))),  # as text
        (BaseType("empty", -1, COMPOSITE), 0, t.StringType()),
        (BaseType("vector"), 0, t.StringType()),  # somebody's own
    ],
)
def test_a_type_of_a_kind_is_nested_in_spark_or_text_where_that_is_wished(
    scalar: BaseType, dimensions: int, spark_type: t.DataType
) -> None:
    column = SourceColumn("c", scalar.base, scalar, dimensions)
    assert extract_column(column).spark_type == spark_type
    assert extract_column(column, as_text=True).spark_type == t.StringType()
    flat: t.DataType = t.StringType()
    for _ in range(dimensions):
        flat = t.ArrayType(flat)
    assert extract_column(column, flat=True).spark_type == flat
