"""Rows as a table for a person: aligned, cut where they are long, and without what moves a terminal's cursor."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from jobs.cli.text_table import WIDEST, text_table


def test_numbers_stand_at_the_right_and_null_is_empty() -> None:
    rows = [["a", 1, None], ["bb", Decimal("10.5"), True]]
    assert text_table(["name", "n", "is"], rows, 10).splitlines() == [
        "name | n    | is",
        "-----+------+---",
        "a    |    1 |",
        "bb   | 10.5 | t",
    ]


def test_rows_beyond_the_limit_are_counted() -> None:
    lines = text_table(["n"], [[number] for number in range(1000)], 2).splitlines()
    assert lines[2:] == ["0", "1", "... and 998 more of 1,000 rows"]


def test_a_value_is_one_short_line_whatever_it_holds() -> None:
    values = [
        "a\nb\x1b[2J",
        "x" * 100,
        b"\x00\xff",
        [1, None],
        {"k": "ä"},
        dt.datetime.fromisoformat("2026-11-21 07:00:00"),
    ]
    lines = text_table(["v"], [[value] for value in values], 10).splitlines()[2:]
    assert lines[0] == "a b [2J"
    assert lines[1] == "x" * (WIDEST - 3) + "..."
    assert lines[2:] == ["\\x00ff", "[1, null]", '{"k": "ä"}', "2026-11-21 07:00:00"]


def test_a_table_without_rows_or_columns_is_a_table() -> None:
    assert text_table(["a"], [], 10) == "a\n-"
    assert text_table([], [[]], 10).strip() == ""
