"""The bounds of partitions, as the server writes them within `exact_forms`: from text to values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_CONSTANT = re.compile(r"'((?:[^']|'')*)'|([^\s,()]+)")
_RANGE = re.compile(r"FOR VALUES FROM \((.*)\) TO \((.*)\)", re.DOTALL)
_LIST = re.compile(r"FOR VALUES IN \((.*)\)", re.DOTALL)

Text = Optional[str]
"""A constant as text. None is NULL in a list, and MINVALUE or MAXVALUE in a range."""


@dataclass(frozen=True)
class Span:
    """The bound of a partition by ranges of one column. None is MINVALUE or MAXVALUE."""

    low: Text
    high: Text


def span(bound: str) -> Span | None:
    """Return the range of one column that a bound states; None if it states something else."""
    found = _RANGE.fullmatch(bound)
    if found is None:
        return None
    low, high = (_constants(text, ("MINVALUE", "MAXVALUE")) for text in found.groups())
    return Span(low[0], high[0]) if len(low) == len(high) == 1 else None


def values(bound: str) -> list[Text] | None:
    """Return the values that a bound lists; None if it states something else."""
    found = _LIST.fullmatch(bound)
    return None if found is None else _constants(found[1], ("NULL",))


def _constants(text: str, words: tuple[str, ...]) -> list[Text]:
    return [_constant(found, words) for found in _CONSTANT.finditer(text)]


def _constant(found: re.Match[str], words: tuple[str, ...]) -> Text:
    quoted, plain = found.groups()
    if plain is not None:
        return None if plain in words else plain
    unquoted: str = quoted.replace("''", "'")
    return unquoted
