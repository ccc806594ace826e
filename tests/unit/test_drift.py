"""A column is widened only where its type and the data's both fit into the wider one, value by value."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.write_types import fits
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.load.definitions.alterations import Added, Alterations, Widened
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.sql import TableName
from jobs.flows.load.schema.drift import drift, wider

T = TableName("t", "public")

BASES = {
    "smallint": ("int2", "N"),
    "integer": ("int4", "N"),
    "bigint": ("int8", "N"),
    "real": ("float4", "N"),
    "double precision": ("float8", "N"),
    "numeric": ("numeric", "N"),
    "numeric(10,2)": ("numeric", "N"),
    "numeric(2,3)": ("numeric", "N"),
    "character varying": ("varchar", "S"),
    "character varying(20)": ("varchar", "S"),
    "character(2)": ("bpchar", "S"),
    "text": ("text", "S"),
    "date": ("date", "D"),
    "timestamp with time zone": ("timestamptz", "D"),
    "amount": ("int4", "N"),  # a domain
    "integer[]": ("_int4", "A"),
}


def column(type_name: str, name: str = "c") -> Column:
    base, category = BASES[type_name]
    return Column(name, type_name, base, category)


def declared(text: str) -> t.StructField:
    """A string whose length a table of Spark's declares."""
    return t.StructField("c", t.StringType(), metadata={"__CHAR_VARCHAR_TYPE_STRING": text})


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        (t.ByteType(), "smallint", None),
        (t.ShortType(), "smallint", None),
        (t.IntegerType(), "smallint", "integer"),
        (t.LongType(), "smallint", "bigint"),
        (t.LongType(), "integer", "bigint"),
        (t.IntegerType(), "bigint", None),
        (t.LongType(), "bigint", None),
        (t.DecimalType(4, 0), "smallint", None),
        (t.DecimalType(9, 0), "smallint", "integer"),
        (t.DecimalType(10, 0), "integer", "bigint"),
        (t.DecimalType(18, 0), "integer", "bigint"),
        (t.DecimalType(19, 0), "integer", None),  # no integer holds all of them: the server judges each
        (t.DecimalType(10, 2), "integer", None),
        (t.DoubleType(), "integer", None),
        (t.StringType(), "integer", None),
        (t.LongType(), "amount", None),
        (t.ArrayType(t.LongType()), "integer[]", None),
        (t.DoubleType(), "real", "double precision"),
        (t.FloatType(), "real", None),
        (t.FloatType(), "double precision", None),
        (t.LongType(), "real", None),
        (t.DecimalType(12, 2), "numeric(10,2)", "numeric(12,2)"),
        (t.DecimalType(10, 4), "numeric(10,2)", "numeric(12,4)"),
        (t.DecimalType(12, 4), "numeric(10,2)", "numeric(12,4)"),
        (t.DecimalType(5, 1), "numeric(10,2)", None),
        (t.DecimalType(38, 38), "numeric(10,2)", "numeric(46,38)"),
        (t.IntegerType(), "numeric(10,2)", "numeric(12,2)"),
        (t.LongType(), "numeric(10,2)", "numeric(21,2)"),
        (t.ShortType(), "numeric(10,2)", None),
        (t.DoubleType(), "numeric(10,2)", None),
        (t.DecimalType(38, 2), "numeric", None),
        (t.DecimalType(38, 2), "numeric(2,3)", None),
        (t.StringType(), "character varying(20)", "text"),
        (t.StringType(), "character varying", None),
        (t.StringType(), "character(2)", None),
        (t.StringType(), "text", None),
        (t.LongType(), "character varying(20)", None),
        (t.VarcharType(30), "character varying(20)", "character varying(30)"),
        (t.VarcharType(20), "character varying(20)", None),
        (t.CharType(30), "character varying(20)", "character varying(30)"),
        (t.VarcharType(2**31 - 1), "character varying(20)", "text"),
        (t.CharType(3), "character(2)", "character(3)"),
        (t.CharType(2), "character(2)", None),
        (t.VarcharType(3), "character(2)", None),
        (t.TimestampType(), "date", None),
        (t.DateType(), "timestamp with time zone", None),
    ],
)
def test_what_a_type_is_widened_to(kind: t.DataType, before: str, after: str | None) -> None:
    found = wider(t.StructField("c", kind), column(before))
    assert (found and found.type_name) == after
    if found is not None:
        assert found.base_type == BASES.get(found.type_name, BASES[before])[0]
        assert fits(kind, found)
        assert wider(t.StructField("c", kind), found) is None


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("varchar(30)", "character varying(20)", "character varying(30)"),
        ("char(20)", "character varying(20)", None),
        ("char(5)", "character(2)", "character(5)"),
        ("string", "character varying(20)", "text"),
    ],
)
def test_a_length_that_spark_keeps_in_metadata_counts(text: str, before: str, after: str | None) -> None:
    found = wider(declared(text), column(before))
    assert (found and found.type_name) == after


def test_columns_are_found_by_name_as_they_are_matched() -> None:
    table = Table(T, "r", (column("integer", "id"), column("integer", "N"), column("integer", "n")))
    data = t.StructType([t.StructField(name, t.LongType()) for name in ("ID", "n", "new")])
    found = drift(data, table)
    assert [field.name for field in found.unknown] == ["new"]
    assert [(one.before.name, one.after.type_name) for one in found.widened] == [("id", "bigint"), ("n", "bigint")]


def test_a_generated_column_is_left_alone() -> None:
    table = Table(T, "r", (Column("id", "integer", "int4", "N", generated=True),))
    assert drift(t.StructType([t.StructField("id", t.LongType())]), table).widened == ()


def widened(kind: t.DataType, before: str, name: str = "c") -> Widened:
    after = wider(t.StructField(name, kind), column(before, name))
    assert after is not None
    return Widened(column(before, name), after)


@pytest.mark.parametrize(
    ("kind", "before", "rewrites"),
    [
        (t.LongType(), "integer", True),
        (t.DoubleType(), "real", True),
        (t.DecimalType(12, 2), "numeric(10,2)", False),
        (t.DecimalType(12, 4), "numeric(10,2)", True),
        (t.StringType(), "character varying(20)", False),
        (t.VarcharType(30), "character varying(20)", False),
        (t.CharType(3), "character(2)", True),
    ],
)
def test_which_changes_have_the_server_write_all_rows_anew(kind: t.DataType, before: str, rewrites: bool) -> None:
    assert widened(kind, before).rewrites == rewrites


def test_all_types_are_changed_by_one_statement() -> None:
    note = Added(Definition("no te", "text"), Column("no te", "text", "text", "S"))
    wanted = Alterations(
        (note,), (widened(t.LongType(), "integer", "a"), widened(t.StringType(), "character varying(20)", "b"))
    )
    assert list(wanted.statements(T)) == [
        'ALTER TABLE "public"."t" ADD COLUMN IF NOT EXISTS "no te" text\n',
        'ALTER TABLE "public"."t" ALTER COLUMN "a" TYPE bigint, ALTER COLUMN "b" TYPE pg_catalog.text',
    ]
    assert wanted.types == (("no te", "pg_catalog.text"), ("a", "bigint"), ("b", "pg_catalog.text"))
    assert wanted.told() == (
        "no te is added (text), a becomes bigint (integer before), b becomes text (character varying(20) before)"
    )
