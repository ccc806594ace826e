"""Which of Spark's types fits which column."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.write_types import fits
from jobs.dbaccess.catalog.tables import Column


class IntervalType(t.DataType):
    """Stands for Spark's calendar interval where PySpark has no class for it: before 4.0."""


CalendarInterval = getattr(t, "CalendarIntervalType", IntervalType)


@pytest.mark.parametrize(
    ("kind", "base_type", "category", "fitting"),
    [
        (t.LongType(), "int4", "N", True),  # the server refuses what overflows
        (t.IntegerType(), "numeric", "N", True),
        (t.DoubleType(), "int8", "N", False),
        (t.DecimalType(10, 0), "int8", "N", True),
        (t.DecimalType(10, 2), "int8", "N", False),
        (t.BooleanType(), "int4", "N", False),
        (t.StringType(), "uuid", "U", True),  # as the server reads it
        (t.NullType(), "uuid", "U", True),
        (t.LongType(), "varchar", "S", True),
        (t.BinaryType(), "text", "S", False),
        (t.TimestampType(), "date", "D", False),
        (t.DateType(), "timestamptz", "D", True),
        (t.TimestampNTZType(), "timestamptz", "D", True),
        (t.ArrayType(t.LongType()), "text", "S", False),
        (t.ArrayType(t.LongType()), "jsonb", "U", True),
        (t.StructType(), "json", "U", True),
        (t.StructType(), "text", "S", False),
        (t.MapType(t.StringType(), t.LongType()), "hstore", "U", False),
        (t.DayTimeIntervalType(), "interval", "T", True),
        (t.LongType(), "interval", "T", False),
        (CalendarInterval(), "interval", "T", False),
    ],
)
def test_what_fits_where(kind: t.DataType, base_type: str, category: str, fitting: bool) -> None:
    assert fits(kind, Column("c", base_type, base_type, category)) is fitting


@pytest.mark.parametrize(
    ("kind", "element", "fitting"),
    [
        (t.ArrayType(t.LongType()), "int4", True),
        (t.ArrayType(t.ArrayType(t.LongType())), "int8", True),
        (t.ArrayType(t.LongType()), "date", False),
        (t.ArrayType(t.StringType()), "uuid", True),
        (t.ArrayType(t.StructType()), "jsonb", True),
        (t.LongType(), "int8", False),
        (t.StringType(), "int8", True),  # '{1,2}', as the server reads it
    ],
)
def test_arrays_fit_by_their_elements(kind: t.DataType, element: str, fitting: bool) -> None:
    assert fits(kind, Column("c", f"{element}[]", f"_{element}", "A", element=element)) is fitting
