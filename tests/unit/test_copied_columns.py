"""Columns that cross from server to server as text: which types take which, and what is refused."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName
from jobs.flows.table_copy.copied_columns import CopiedColumn, check_money, matched

T = TableName("t", "s")


def column(base: str, modifier: int = -1, name: str = "a", dimensions: int = 0) -> SourceColumn:
    return SourceColumn(name, base, BaseType(base, modifier), dimensions)


def composite(*fields: SourceColumn, name: str = "p") -> SourceColumn:
    return SourceColumn(name, "pair", BaseType("pair", fields=fields))


def test_a_composite_type_with_its_fields_in_another_order_is_told_with_its_fields() -> None:
    """Its text has no names: of (a, b) and (b, a), each would take the values of the other."""
    a, b = column("int4", name="a"), column("int4", name="b")
    with pytest.raises(
        UsageError, match=r"'p' is pair \(a int4, b int4\), which pair \(b int4, a int4\) does not take"
    ):
        matched([composite(a, b)], table(Column("p", "pair", "pair", "C")), {"p": composite(b, a)})


def table(*columns: Column) -> Table:
    return Table(T, "r", columns)


def test_what_does_not_fit_is_told_all_at_once() -> None:
    there = [column("int8", name="id"), column("text", name="extra")]
    here = table(Column("id", "integer", "int4", "N"), Column("day", "date", "date", "D", required=True))
    with pytest.raises(UsageError) as caught:
        matched(there, here, {"id": column("int4", name="id"), "day": column("date", name="day")})
    assert caught.value.message == (
        "The source does not fit the table s.t: 'extra' is not a column of the table; "
        "'id' is int8, which int4 does not take as it is; 'day' is missing, and is NOT NULL with no default."
    )


def test_a_column_that_the_server_computes_is_left_out() -> None:
    id_, twice = column("int4", name="id"), column("int4", name="twice")
    here = table(Column("id", "integer", "int4", "N"), Column("twice", "integer", "int4", "N", generated=True))
    assert matched([id_, twice], here, {"id": id_, "twice": twice}) == (CopiedColumn(id_, here.columns[0]),)


def test_money_crosses_only_between_servers_that_write_it_alike() -> None:
    price = CopiedColumn(column("money", name="price"), Column("price", "money", "money", "N"))
    check_money([price], "C", "C", T)
    with pytest.raises(UsageError, match=r"price of s.t is money"):
        check_money([price], "C", "de_DE", T)
