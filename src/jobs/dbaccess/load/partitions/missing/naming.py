"""The names of new partitions: as those of the others, if these follow a pattern. Values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from jobs.dbaccess.load.partitions.missing import local_times
from jobs.dbaccess.load.partitions.missing.rules import DAY, MONTH, Rule
from jobs.dbaccess.sql import MAX_NAME_BYTES

_FORMATS = ("%Y_%m_%d_%H%M", "%Y_%m_%d_%H", "%Y_%m_%d", "%Y%m%d%H", "%Y%m%d", "%Y-%m-%d", "%Yw%V", "%Y_w%V")
_OF_MONTHS = ("%Y_%m", "%Y%m", "%Y-%m", "y%Ym%m", "%Ym%m")
_OF_YEARS = ("%Y",)


def name(
    table: str, low: int | str | None, rule: Rule, others: Sequence[tuple[str, int]], taken: Collection[str]
) -> str:
    """Return the name of a new partition.

    Args:
        table: The table's name.
        low: The lower bound of the partition, or its value in a list.
        rule: The rule of the partitions.
        others: The names of partitions, and their lower bounds.
        taken: Names that other relations have.
    """
    for written in _formats(rule):
        pattern = _pattern(written, rule, others)
        if pattern is not None and isinstance(low, int):
            return _free(pattern[0], _write(low, written, rule) + pattern[1], taken)
    suffix = "null" if low is None else low if isinstance(low, str) else _write(low, _formats(rule)[0], rule)
    return _free(table, f"_{suffix}", taken)


def numbered(table: str, number: int) -> str:
    """Return the name of a partition that has a number alone."""
    return _free(table, f"_p{number}", ())


def _formats(rule: Rule) -> Sequence[str]:
    """Return the formats of lower bounds by which the bins of a rule have different names, the usual one first."""
    if rule.unit == MONTH:
        return (*(_OF_YEARS if rule.step % 12 == 0 else ()), *_OF_MONTHS, "%Y_%m_%d", "%Y%m%d", "%Y-%m-%d")
    days = _FORMATS[2:3] + _FORMATS[4:]
    return days[: None if rule.step % 7 == 0 else 3] if rule.unit == DAY else _FORMATS[:4]


def _write(low: int, written: str, rule: Rule) -> str:
    if rule.is_of_times:
        return local_times.formatted(low, written)
    return str(low) if low >= 0 else f"m{-low}"


def _pattern(written: str, rule: Rule, others: Sequence[tuple[str, int]]) -> tuple[str, str] | None:
    """Return what all names have before and after their lower bounds; None if they do not have them so."""
    found = set()
    for other, low in others:
        before, bound, after = other.rpartition(_write(low, written, rule))
        if not bound:
            return None
        found.add((before, after))
    return found.pop() if len(found) == 1 else None


def _free(before: str, after: str, taken: Collection[str]) -> str:
    """Return a name that is not taken, cut to the length that the server allows."""
    after = _cut(after, _LONGEST_END)
    count = 1
    while True:
        end = after if count == 1 else f"{after}_{count}"
        found = _cut(before, MAX_NAME_BYTES - len(end.encode())) + end
        if found not in taken:
            return found
        count += 1


_LONGEST_END = 41
"""The most bytes of a bound in a name, with its separator."""


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")
