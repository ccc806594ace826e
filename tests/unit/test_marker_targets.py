"""Whose marker a marker is, by the text of its target_table."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.marker_targets import is_named, naming
from jobs.dbaccess.sql import TableName

A, B, C = TableName("a", "public"), TableName('b "2", c', "public"), TableName("c", "public")


@pytest.mark.parametrize("targets", [(A,), (B,), (A, B), (B, A), (A, B, C)])
def test_what_is_written_of_tables_names_them(targets: tuple[TableName, ...]) -> None:
    assert is_named(naming(targets), targets)


def test_a_releases_marker_is_that_of_each_of_its_tables_and_of_no_other() -> None:
    release = naming([A, B])
    assert [is_named(release, [one]) for one in (A, B, C)] == [True, True, False]


@pytest.mark.parametrize("recorded", [naming([A]), naming([A, C]), naming([A, B, C])])
def test_a_release_needs_a_marker_of_exactly_its_tables(recorded: str) -> None:
    assert not is_named(recorded, [A, B])


@pytest.mark.parametrize("recorded", ["", "a", "[", "[1]", '["public.a"', "[[]]", '{"public.a": 1}'])
def test_text_of_another_program_names_no_table(recorded: str) -> None:
    assert not is_named(recorded, [A])
