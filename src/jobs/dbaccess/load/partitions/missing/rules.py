"""The rule by which the bounds of a table's partitions follow each other: parsed, inferred and applied. Values only.

A rule divides all values of the partition key into bins of the same size, which are numbered. A new partition is a bin.
Times are local: for `timestamp with time zone`, in the rule's zone, so that days begin at midnight there, and may have
23 or 25 hours.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.partitions.missing import local_times
from jobs.dbaccess.load.partitions.missing.local_times import MICROSECONDS_OF_A_DAY

AUTO, NO = "auto", "no"
"""What a user may want, beside a rule: one that is inferred, or no new partitions."""

FLAG = "--new-partitions"

VALUE, INTEGER, MONTH, DAY, MICROSECOND = "value", "integer", "month", "day", "microsecond"
"""The units of rules. VALUE makes a partition for each value of a list."""

_WRITTEN = re.compile(
    r"\s*(?:(?P<step>\d+)\s+)?(?P<unit>minute|hour|day|week|month|quarter|year)s?(?:\s+in\s+(?P<zone>\S+))?\s*",
    re.IGNORECASE,
)
_UNITS = {
    "minute": (MICROSECOND, 60_000_000),
    "hour": (MICROSECOND, 3_600_000_000),
    "day": (DAY, 1),
    "week": (DAY, 7),
    "month": (MONTH, 1),
    "quarter": (MONTH, 3),
    "year": (MONTH, 12),
}
_MONDAY = 4
"""The first Monday is so many days after the epoch."""

Ends = tuple[int, int]
"""The lower and upper bound of a partition: integers, or local times (local_times.py)."""


@dataclass(frozen=True)
class Rule:
    """Bins of equal size.

    Attributes:
        unit: VALUE, INTEGER, MONTH, DAY or MICROSECOND.
        step: How many units a bin has.
        origin: The lower bound of a bin, in units from 0, or from the epoch.
        zone: The time zone, for `timestamp with time zone`; empty for the session's.
    """

    unit: str
    step: int = 1
    origin: int = 0
    zone: str = ""

    @property
    def is_of_times(self) -> bool:
        """Whether it divides times."""
        return self.unit in (MONTH, DAY, MICROSECOND)

    def low(self, number: int) -> int:
        """Return the lower bound of a bin."""
        place = self.origin + number * self.step
        if self.unit == MONTH:
            return local_times.of_months(place)
        return place * MICROSECONDS_OF_A_DAY if self.unit == DAY else place

    def __str__(self) -> str:
        """Return it as the flag takes it."""
        if not self.is_of_times:
            return VALUE if self.unit == VALUE else str(self.step)
        sizes = [(name, self.step // size) for name, (unit, size) in _UNITS.items() if unit == self.unit]
        fitting = [(name, count) for name, count in sizes if count and count * _UNITS[name][1] == self.step]
        name, count = fitting[-1] if fitting else ("microsecond", self.step)
        zone = f" in {self.zone}" if self.zone else ""
        return (name if count == 1 else f"{count} {name}s") + zone


def parse(text: str) -> Rule | None:
    """Return the rule that a user gives, or None for AUTO and NO. It begins where bins usually do.

    Raises:
        UsageError: The text is no rule.
    """
    if text in (AUTO, NO):
        return None
    if text.strip() == VALUE:
        return Rule(VALUE)
    if text.strip().isdigit() and int(text):
        return Rule(INTEGER, int(text))
    found = _WRITTEN.fullmatch(text)
    if found is None or found["step"] == "0" * len(found["step"] or ""):
        raise UsageError(
            f"{FLAG} {text!r} is not a rule for partitions.",
            "Write day, month, '1 week', '6 hours', 'day in Europe/Berlin', 1000 (integers), value (lists) or auto.",
        )
    unit, size = _UNITS[found["unit"].lower()]
    step = size * int(found["step"] or 1)
    return Rule(unit, step, _MONDAY if unit == DAY and step % 7 == 0 else 0, found["zone"] or "")


def infer(spans: Sequence[Ends], is_of_times: bool, zone: str = "") -> Rule | None:
    """Return the rule that partitions follow; None if they follow none.

    Args:
        spans: The lower and upper bound of each, without those that are open.
        is_of_times: Whether the bounds are times.
        zone: The time zone of the bounds.
    """
    for unit in (MONTH, DAY, MICROSECOND) if is_of_times else (INTEGER,):
        places = [(_place(low, unit), _place(high, unit)) for low, high in spans]
        known = [(low, high) for low, high in places if low is not None and high is not None]
        if not known or len(known) < len(places):
            continue
        origin, step = known[-1][0], known[-1][1] - known[-1][0]
        if all(high - low == step and (low - origin) % step == 0 for low, high in known):
            return Rule(unit, step, origin, zone)
    return None


def aligned(rule: Rule, spans: Sequence[Ends]) -> Rule:
    """Return a rule that a user gave, whose bins begin where partitions of the same size do."""
    for low, high in reversed(spans):
        first, last = _place(low, rule.unit), _place(high, rule.unit)
        if first is not None and last is not None and last - first == rule.step:
            return Rule(rule.unit, rule.step, first, rule.zone)
    return rule


def is_by_calendar(rule: Rule | None) -> bool:
    """Whether the bins are days or months, and so depend on the time zone."""
    return rule is not None and rule.unit in (DAY, MONTH)


def is_ambiguous(rule: Rule) -> bool:
    """Whether bins in a time zone have the length of days, and do not begin at midnight there."""
    return rule.unit == MICROSECOND and rule.step >= MICROSECONDS_OF_A_DAY


def _place(point: int, unit: str) -> int | None:
    """Return how many units a value is from 0 or the epoch; None if it is between two of them."""
    if unit == MONTH:
        return local_times.months(point)
    if unit == DAY:
        days, rest = divmod(point, MICROSECONDS_OF_A_DAY)
        return None if rest else days
    return point
