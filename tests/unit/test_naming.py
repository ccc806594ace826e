"""Names of new partitions follow those of the others, are free, and fit the server's limit."""

from __future__ import annotations

from datetime import date

import pytest

from jobs.dbaccess.load.partitions.missing.local_times import of_months
from jobs.dbaccess.load.partitions.missing.naming import name
from jobs.dbaccess.load.partitions.missing.rules import DAY, INTEGER, MONTH, VALUE, Rule

NOVEMBER, OCTOBER = of_months(682), of_months(681)
"""Of 2026."""


@pytest.mark.parametrize("pattern", ["t_%Y_%m", "p%Y%m", "%Y-%m of t", "t_y%Ym%m", "t%Y%m%d_x"])
def test_a_pattern_of_the_others_is_followed(pattern: str) -> None:
    others = [(date(2026, 10, 1).strftime(pattern), OCTOBER)]
    assert name("orders", NOVEMBER, Rule(MONTH), others, ()) == date(2026, 11, 1).strftime(pattern)


def test_without_a_pattern_the_tables_name_is_followed_by_the_bound() -> None:
    assert name("t", NOVEMBER, Rule(MONTH, 12), [("old", OCTOBER)], ()) == "t_2026"
    assert name("t", NOVEMBER, Rule(DAY, 7), [("t_2026_10_01", OCTOBER), ("x", OCTOBER)], ()) == "t_2026_11_01"
    assert name("t", -5, Rule(INTEGER, 5), (), ()) == "t_m5"
    assert name("t", None, Rule(VALUE), (), ()) == "t_null"


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert name("t", 10, Rule(INTEGER, 10), [("p0", 0)], {"p10", "p10_2"}) == "p10_3"


def test_long_names_are_cut_between_characters_and_differ() -> None:
    first = name("ü" * 31, "é" * 50, Rule(VALUE), (), ())
    second = name("ü" * 31, "é" * 51, Rule(VALUE), (), {first})
    assert len(first.encode()) <= 63
    assert len(second.encode()) <= 63
    assert first != second
    assert first.startswith("ü" * 11 + "_é")
