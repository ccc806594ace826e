"""Names of tables in Spark's catalogs."""

from __future__ import annotations

import pytest

from jobs.flows.load.feeds.lake_table import LakeTable, literal
from jobs.flows.source_tables import parts_of


@pytest.mark.parametrize("text", ["lake.sales.orders", "lake.a.b.orders", "lake.my sales.`or``ders`", "lake.`a.b`.c"])
def test_a_name_is_told_as_the_user_writes_it(text: str) -> None:
    table = LakeTable(parts_of(text))
    assert str(table) == text
    assert parts_of(table.quoted) == table.parts


def test_a_name_is_quoted_part_by_part() -> None:
    table = LakeTable(("lake", "my sales", "or`ders"))
    assert table.quoted == "`lake`.`my sales`.`or``ders`"
    assert table.metadata("refs") == "`lake`.`my sales`.`or``ders`.`refs`"
    assert table.catalog == "`lake`"


def test_a_literal_ends_where_it_should() -> None:
    assert literal("it's a \\ ") == "'it\\'s a \\\\ '"
