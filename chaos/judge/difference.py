"""The difference between the rows that were found and those that were expected, in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any


def difference(found: Sequence[Any], expected: Sequence[Any]) -> str:
    """Return the difference between two lists of rows in a few words; empty if they are equal."""
    if list(found) == list(expected):
        return ""
    extra, missing = Counter(map(repr, found)), Counter(map(repr, expected))
    extra.subtract(map(repr, expected))
    missing.subtract(map(repr, found))
    surplus = [row for row, count in extra.items() if count > 0]
    lost = [row for row, count in missing.items() if count > 0]
    example = f", such as {(lost or surplus)[0][:100]}" if lost or surplus else ", in another order"
    return f"{len(found)} rows for {len(expected)}: {len(lost)} missing, {len(surplus)} too many{example}"
