"""Names are quoted right, whatever they hold."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName, quote_name, quote_names


@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ("plain", '"plain"'),
        ("Upper", '"Upper"'),
        ("with space", '"with space"'),
        ('with "quotes"', '"with ""quotes"""'),
        ("select", '"select"'),
        ('"; drop table t; --', '"""; drop table t; --"'),
        ("%s", '"%s"'),
        ("é" * 31, f'"{"é" * 31}"'),
    ],
)
def test_a_name_means_itself(name: str, quoted: str) -> None:
    assert quote_name(name) == quoted


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 64, "é" * 32])
def test_what_cannot_be_a_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name"):
        quote_name(name)


def test_names_are_separated_by_commas() -> None:
    assert quote_names(["a", "b"]) == '"a", "b"'


@pytest.mark.parametrize(
    ("text", "table"),
    [
        ("flights", TableName("flights")),
        ("sales.Orders", TableName("Orders", "sales")),
        ("my table", TableName("my table")),
        ('"a.b"', TableName("a.b")),
        ('s."a.b"', TableName("a.b", "s")),
        ('"a.b"."c""d"', TableName('c"d', "a.b")),
    ],
)
def test_a_tables_name_is_read_as_written(text: str, table: TableName) -> None:
    assert TableName.parse(text) == table


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a..b", "a.b.c", '"a', 'a"b', '"a"b', '""'])
def test_what_is_not_a_tables_name_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a table's name"):
        TableName.parse(text)


@pytest.mark.parametrize("name", ["t", "Upper", "a.b", 'we"ird', ".", '"', "a b", "é\n", 'x"."y'])
@pytest.mark.parametrize("schema", [None, "s", "a.b", '"'])
def test_a_tables_name_is_written_so_that_it_is_read_as_itself(name: str, schema: str | None) -> None:
    assert TableName.parse(str(TableName(name, schema))) == TableName(name, schema)


def test_a_table_is_quoted_with_its_schema() -> None:
    assert TableName('c"d', "a.b").quoted == '"a.b"."c""d"'
