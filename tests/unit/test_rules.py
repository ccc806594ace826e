"""Rules for new partitions: what a user writes, and what the bounds of partitions tell."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.partitions.missing.local_times import MICROSECONDS_OF_A_DAY, of_months
from jobs.dbaccess.load.partitions.missing.rules import (
    DAY,
    INTEGER,
    MICROSECOND,
    MONTH,
    Rule,
    aligned,
    infer,
    parse,
)

HOUR = 3_600_000_000


def at(year: int, month: int, day: int, hour: int = 0) -> int:
    return of_months((year - 1970) * 12 + month - 1) + (day - 1) * MICROSECONDS_OF_A_DAY + hour * HOUR


SPANS: dict[str, tuple[list[tuple[int, int]], Rule | None]] = {
    "integers": ([(0, 10), (30, 40)], Rule(INTEGER, 10, 30)),
    "integers of two sizes": ([(0, 10), (10, 30)], None),
    "integers off the grid": ([(0, 10), (15, 25)], None),
    "days": ([(at(2026, 3, 1), at(2026, 3, 2)), (at(2026, 4, 9), at(2026, 4, 10))], Rule(DAY, 1, 20552)),
    "weeks": ([(at(2026, 2, 1), at(2026, 2, 8))], Rule(DAY, 7, 20485)),
    "a February": ([(at(2026, 2, 1), at(2026, 3, 1))], Rule(MONTH, 1, 673)),
    "months of 28 and 31 days": (
        [(at(2026, 2, 1), at(2026, 3, 1)), (at(2026, 3, 1), at(2026, 4, 1))],
        Rule(MONTH, 1, 674),
    ),
    "the last day that datetime has": ([(at(9999, 12, 31), at(10000, 1, 1))], Rule(DAY, 1, 2932896)),
    "the last month that datetime has": ([(at(9999, 12, 1), at(10000, 1, 1))], Rule(MONTH, 1, 96359)),
    "years from July": ([(at(2025, 7, 1), at(2026, 7, 1))], Rule(MONTH, 12, 666)),
    "6 hours": ([(at(1970, 1, 1, 6), at(1970, 1, 1, 12))], Rule(MICROSECOND, 6 * HOUR, 6 * HOUR)),
    "a year and its months": ([(at(2025, 1, 1), at(2026, 1, 1)), (at(2026, 1, 1), at(2026, 2, 1))], None),
    "none": ([], None),
}


@pytest.mark.parametrize("what", SPANS)
def test_a_rule_is_inferred_only_from_bounds_that_are_regular(what: str) -> None:
    spans, expected = SPANS[what]
    assert infer(spans, "integers" not in what) == expected


WRITTEN = {
    "day": Rule(DAY),
    "2 days in Asia/Kolkata": Rule(DAY, 2, 0, "Asia/Kolkata"),
    "1 week": Rule(DAY, 7, 4),
    "Quarter": Rule(MONTH, 3),
    "year": Rule(MONTH, 12),
    "30 minutes": Rule(MICROSECOND, HOUR // 2),
    "1000": Rule(INTEGER, 1000),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_rule_is_parsed_and_written_so_that_it_is_parsed_again(text: str) -> None:
    assert parse(text) == WRITTEN[text]
    assert parse(str(WRITTEN[text])) == WRITTEN[text]


@pytest.mark.parametrize("text", ["", "0", "0 days", "-1", "fortnight", "day in", "1.5 days", "days days"])
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a rule for partitions"):
        parse(text)


@pytest.mark.parametrize(
    "rule", [Rule(MONTH, 1, 5), Rule(DAY, 7, 4), Rule(MICROSECOND, HOUR, 9), Rule(INTEGER, 10, -3)]
)
def test_bins_follow_each_other_without_gaps(rule: Rule) -> None:
    lows = [rule.low(number) for number in range(-30, 30)]
    assert lows == sorted(lows)
    assert infer([*zip(lows, lows[1:])], rule.is_of_times) == Rule(rule.unit, rule.step, rule.origin + 28 * rule.step)


def test_bins_of_a_users_rule_begin_where_partitions_of_its_size_do() -> None:
    spans = [(at(2026, 11, 18), at(2026, 11, 25)), (at(2026, 12, 1), at(2026, 12, 2))]
    week = parse("1 week")
    assert week is not None
    assert aligned(week, spans).low(0) == at(2026, 11, 18)
    assert aligned(week, ()) == week
