"""The columns of a new table: the data's, by the user's types or ours, and then those that the data does not have."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.flows.load.defined import Defined, complete

DATA = t.StructType(
    [t.StructField("Id", t.LongType()), t.StructField("note", t.StringType()), t.StructField("at", t.TimestampType())]
)


def completed(data: t.StructType, **types: str) -> list[tuple[str, str]]:
    defined = Defined.of(types, {}).types
    return [(definition.name, definition.sql) for definition in complete(data, defined)]


def test_the_datas_columns_come_first_in_their_order_and_those_that_it_lacks_last() -> None:
    assert completed(DATA, n="bigserial", note="varchar(9)") == [
        ("Id", "bigint"),
        ("note", "varchar(9)"),
        ("at", "timestamp with time zone"),
        ("n", "bigserial"),
    ]


def test_types_of_ours_that_are_no_keywords_are_the_servers_own() -> None:
    """A definition is looked up on the user's search_path, where somebody may have made a type `text`."""
    assert ("note", "pg_catalog.text") in completed(DATA, n="serial")
    array = t.StructType([t.StructField("a", t.ArrayType(t.DateType()))])
    assert completed(array, n="serial")[0] == ("a", "pg_catalog.date[]")


def test_a_name_means_the_column_as_written_or_else_ignoring_case() -> None:
    assert completed(DATA, id="numeric(9,0)")[0] == ("Id", "numeric(9,0)")
    both = t.StructType([t.StructField("id", t.LongType()), t.StructField("ID", t.LongType())])
    assert completed(both, ID="int") == [("id", "bigint"), ("ID", "int")]


def test_a_type_may_be_given_where_we_have_none() -> None:
    nothing = t.StructType([t.StructField("a", t.NullType())])
    assert completed(nothing, a="inet") == [("a", "inet")]
    with pytest.raises(UsageError, match="'a' is a void"):
        completed(nothing, b="inet")


def test_a_column_is_a_type_or_metadata() -> None:
    both = Defined((Definition("a", "int"),), (Definition("a", "int"),))
    with pytest.raises(UsageError, match="defines a more than once"):
        both.check()
