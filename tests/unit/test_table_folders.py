"""Folders of tables: one for each name, which can be read back from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.sql import TableName
from jobs.flows.extract.table_folders import folder_of, table_of


@pytest.mark.parametrize(
    ("schema", "name", "folder"),
    [
        ("sales", "orders", "sales/orders"),
        ("Sales", "My Orders", "Sales/My Orders"),
        ("a.b", "c.d", "a.b/c.d"),
        ("s", "a/b", "s/a%2Fb"),
        ("s", "day=1", "s/day%3D1"),
        ("s", "100%", "s/100%25"),
        ("_s", ".", "%5Fs/%2E"),
        ("s", "..", "s/%2E."),
        ("s", "Größe", "s/Größe"),
    ],
)
def test_a_folder_says_schema_and_table(schema: str, name: str, folder: str) -> None:
    assert folder_of(TableName(name, schema)) == folder


NAMES = st.text(min_size=1, max_size=63).filter(lambda name: name.isprintable() or "\n" in name)


@given(schema=NAMES, name=NAMES)
def test_each_table_has_a_folder_of_its_own_that_no_reader_ignores(schema: str, name: str) -> None:
    folder = folder_of(TableName(name, schema))
    assert table_of(folder) == TableName(name, schema)
    assert not [part for part in folder.split("/") if part.startswith(("_", ".")) or set(part) & set("=:*?")]
