"""Patterns for tables: what they match, and which tables are extracted for them."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.table_patterns import Relation, TablePattern, choose
from jobs.dbaccess.sql import TableName


def relation(
    name: str,
    oid: int = 1,
    kind: str = "r",
    *,
    visible: bool = True,
    parents: tuple[int, ...] = (),
    columns: tuple[str, ...] = ("id",),
) -> Relation:
    ancestors = frozenset(parents)
    return Relation(oid, TableName.parse(name), kind, visible=visible, ancestors=ancestors, columns=frozenset(columns))


@pytest.mark.parametrize(
    ("pattern", "name", "is_match"),
    [
        ("sales.orders", "sales.orders", True),
        ("sales.orders", "sales.orders_2", False),
        ("sales.orders", "Sales.orders", False),
        ("sales.*", "sales.orders", True),
        ("sales.*", "sales2.orders", False),
        ("*.orders", "sales.orders", True),
        ("s*.o?ders", "sales.orders", True),
        ("s*.o?ders", "sales.oders", False),
        ("sales.ord[e]rs", "sales.orders", False),
        ("sales.a+b", "sales.a+b", True),
        ('sales."*"', "sales.orders", False),
        ('sales."*"', "sales.*", True),
        ('sales."a.b"', 'sales."a.b"', True),
        ('sales."a""b"', 'sales."a""b"', True),
        ('sales.a" "b*', "sales.a bc", True),
        ("sales.*", "sales.a\nb", True),
        ("orders", "sales.orders", True),
    ],
)
def test_a_pattern_matches_names_as_they_are_written(pattern: str, name: str, is_match: bool) -> None:
    assert TablePattern.parse(pattern).matches(relation(name)) is is_match


def test_a_pattern_without_a_schema_matches_what_the_search_path_finds() -> None:
    assert not TablePattern.parse("orders").matches(relation("sales.orders", visible=False))


@pytest.mark.parametrize("text", ["", ".", "sales.", ".orders", "a.b.c", '"', 'sales."orders', '""', '"""'])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a pattern for tables"):
        TablePattern.parse(text)


SHOP = (
    relation("public.notes", 1),
    relation("sales.by_day", 2, "m"),
    relation("sales.customers", 3),
    relation("sales.far", 4, "f"),
    relation("sales.orders", 5, "p"),
    relation("sales.orders_2025", 6, "p", parents=(5,)),
    relation("sales.orders_2025_01", 7, parents=(5, 6)),
    relation("sales.rates", 8, "e"),
    relation("sales.view", 9, "v"),
)


def chosen(*patterns: str, exclude: tuple[str, ...] = ()) -> list[str]:
    found = choose(SHOP, [*map(TablePattern.parse, patterns)], [*map(TablePattern.parse, exclude)])
    return [str(each.name) for each in found]


def test_tables_are_chosen_once_and_without_what_holds_no_rows_of_its_own() -> None:
    assert chosen("sales.*", "*.customers") == ["sales.by_day", "sales.customers", "sales.orders"]


def test_a_partition_is_chosen_only_where_no_table_above_it_is() -> None:
    assert chosen("sales.orders_*") == ["sales.orders_2025"]
    assert chosen("sales.orders_2025_*") == ["sales.orders_2025_01"]


def test_the_partitions_of_a_table_that_is_excluded_are_excluded_too() -> None:
    assert chosen("sales.*", exclude=("sales.orders",)) == ["sales.by_day", "sales.customers"]


def test_a_partition_of_a_table_that_is_read_as_a_whole_cannot_be_excluded() -> None:
    with pytest.raises(
        UsageError, match=r"orders_2025_01 is a partition or child table of sales.orders, which is extracted"
    ):
        chosen("sales.*", exclude=("*_01",))


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("sales.order", "Near names: sales.orders"),
        ("Sales.Customers", "Near names: sales.customers"),
        ("shop.customers", "Near names: sales.customers"),
        ("sale.*", "Near names: sales."),
        ("sales.view", "sales.view is a view"),
        ("sales.f*", "sales.far is a foreign table"),
        ("sales.rates", "sales.rates is part of an extension"),
        ("pg_catalog.*", "system schemas are never matched"),
    ],
)
def test_a_pattern_that_matches_no_table_is_refused_with_what_may_be_meant(pattern: str, told: str) -> None:
    with pytest.raises(UsageError, match=f"matches no table.*{told}"):
        chosen("public.notes", pattern)


def test_an_exact_name_to_exclude_is_a_tables_and_a_pattern_may_match_none() -> None:
    with pytest.raises(UsageError, match=r"'sales.custumers' matches no table.*Near names: sales.customers"):
        chosen("sales.*", exclude=("sales.custumers",))
    assert chosen("public.*", exclude=("*.none_*",)) == ["public.notes"]


def test_to_exclude_all_is_refused() -> None:
    with pytest.raises(UsageError, match="Each table that matches is excluded"):
        chosen("public.*", exclude=("*.*",))


def test_a_child_table_whose_columns_would_be_lost_with_its_parent_is_refused() -> None:
    family = (relation("s.parent"), relation("s.child", 2, parents=(1,), columns=("id", "b", "a")))
    with pytest.raises(UsageError, match=r"s\.child is a child table of s\.parent, .* which lacks its columns a, b\."):
        choose(family, [TablePattern.parse("s.*")])
    assert choose(family, [TablePattern.parse("s.child")]) == family[1:]


def test_a_child_table_whose_rows_would_be_in_the_folders_of_two_parents_is_refused() -> None:
    family = (relation("s.a", 1), relation("s.b", 2), relation("s.c", 3, parents=(1, 2)))
    with pytest.raises(UsageError, match=r"s\.c is a child table of s\.a, .* and of s\.b: its rows would be in both"):
        choose(family, [TablePattern.parse("s.*")])
    assert choose(family, [TablePattern.parse("s.*")], [TablePattern.parse("s.b")]) == family[:1]
