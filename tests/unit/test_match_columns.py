"""Columns are matched by name, and what does not fit is refused with all of its reasons at once."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.match_columns import match_existing, match_new
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName


class IntervalType(t.DataType):
    """Stands for Spark's calendar interval where PySpark has no class for it: before 4.0."""


CalendarInterval = getattr(t, "CalendarIntervalType", IntervalType)


def table(*columns: Column) -> Table:
    return Table(TableName("t", "public"), "r", columns)


def integer(name: str, required: bool = False, generated: bool = False) -> Column:
    return Column(name, "integer", "int4", "N", required, generated)


def schema(**fields: t.DataType) -> t.StructType:
    return t.StructType([t.StructField(name, kind) for name, kind in fields.items()])


def targets(data: t.StructType, into: Table) -> list[str]:
    return [match.target.name for match in match_existing(data, into)]


def test_columns_are_matched_by_name_in_the_datas_order() -> None:
    assert targets(schema(b=t.IntegerType(), a=t.IntegerType()), table(integer("a"), integer("b"))) == ["b", "a"]


def test_the_case_of_letters_matters_only_where_both_are_there() -> None:
    assert targets(schema(ID=t.IntegerType()), table(integer("id"))) == ["id"]
    assert targets(schema(ID=t.IntegerType()), table(integer("id"), integer("ID"))) == ["ID"]


def test_a_column_that_the_table_fills_may_be_missing() -> None:
    assert targets(schema(a=t.IntegerType()), table(integer("a"), integer("b"))) == ["a"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    into = table(integer("a"), integer("b", required=True), integer("c", generated=True), integer("d"))
    data = schema(x=t.IntegerType(), a=t.DateType(), c=t.IntegerType(), D=t.IntegerType(), d=t.IntegerType())
    with pytest.raises(UsageError) as caught:
        match_existing(data, into)
    for reason in (
        "'x' is not a column of the table",
        "'a' is a date, which does not fit integer",
        "'b' is missing, and is NOT NULL with no default",
        "'c' is filled by the server alone",
        "'D' and another column both mean 'd'",
        "The table has a, b, c, d; the data has x, a, c, D, d.",
    ):
        assert reason in str(caught.value)


def test_a_name_that_could_be_two_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="'Id' could be any of id, ID"):
        match_existing(schema(Id=t.IntegerType()), table(integer("id"), integer("ID")))


def test_a_name_that_stands_twice_is_refused() -> None:
    data = t.StructType([t.StructField("a", t.IntegerType()), t.StructField("a", t.IntegerType())])
    with pytest.raises(UsageError, match="'a' stands twice"):
        match_existing(data, table(integer("a")))
    with pytest.raises(UsageError, match="'a' stands twice"):
        match_new(data)


def test_a_new_table_takes_the_datas_names_and_types() -> None:
    columns = {
        "b": (t.BooleanType(), "boolean"),
        "i1": (t.ByteType(), "smallint"),
        "i2": (t.ShortType(), "smallint"),
        "i4": (t.IntegerType(), "integer"),
        "i8": (t.LongType(), "bigint"),
        "f4": (t.FloatType(), "real"),
        "f8": (t.DoubleType(), "double precision"),
        "n": (t.DecimalType(12, 2), "numeric(12,2)"),
        "s": (t.StringType(), "text"),
        "x": (t.BinaryType(), "bytea"),
        "d": (t.DateType(), "date"),
        "ts": (t.TimestampType(), "timestamp with time zone"),
        "tn": (t.TimestampNTZType(), "timestamp without time zone"),
        "dt": (t.DayTimeIntervalType(), "interval"),
        "ym": (t.YearMonthIntervalType(), "interval"),
        "st": (t.StructType([t.StructField("a", t.LongType())]), "jsonb"),
        "m": (t.MapType(t.StringType(), t.LongType()), "jsonb"),
        "a": (t.ArrayType(t.DecimalType(5, 1)), "numeric(5,1)[]"),
        "aa": (t.ArrayType(t.ArrayType(t.StringType())), "text[]"),
    }
    matches = match_new(schema(**{name: kind for name, (kind, _) in columns.items()}))
    assert [(match.target.name, match.target.type_name) for match in matches] == [
        (name, type_name) for name, (_, type_name) in columns.items()
    ]


def test_a_new_table_is_refused_for_a_type_that_has_no_column() -> None:
    with pytest.raises(UsageError, match="'c' is a interval"):
        match_new(schema(c=CalendarInterval()))


def test_a_new_table_needs_a_column() -> None:
    with pytest.raises(UsageError, match="no columns"):
        match_new(schema())


def test_data_without_columns_is_refused() -> None:
    with pytest.raises(UsageError, match="it has no columns"):
        match_existing(schema(), table(integer("a")))
