"""Conditions of SQL, in its three-valued logic."""

from __future__ import annotations

from collections.abc import Callable

from fuzz.loads.tables import Row
from fuzz.loads.values import Text


def number(text: Text) -> int | None:
    """Return the number that a text is; None for NULL."""
    return None if text is None else int(text)


def _or(a: bool | None, b: bool | None) -> bool | None:
    return True if a or b else None if a is None or b is None else False


def _n(test: Callable[[int], bool]) -> Callable[[Row], bool | None]:
    def tested(row: Row) -> bool | None:
        n = number(row["n"])
        return None if n is None else test(n)

    return tested


def _s(test: Callable[[str], bool]) -> Callable[[Row], bool | None]:
    def tested(row: Row) -> bool | None:
        return None if row["s"] is None else test(row["s"])

    return tested


CONDITIONS: dict[str, Callable[[Row], bool | None]] = {
    "n > 0": _n(lambda n: n > 0),
    "n < 5": _n(lambda n: n < 5),
    "s <> 'b'": _s(lambda s: s != "b"),
    "length(s) < 3": _s(lambda s: len(s) < 3),
    "n > 0 OR s IS NOT NULL": lambda row: _or(_n(lambda n: n > 0)(row), row["s"] is not None),
    "u <> n": lambda row: None if row["u"] is None or row["n"] is None else int(row["u"]) != int(row["n"]),
    "g = 1": lambda row: None if row["g"] is None else int(row["g"]) == 1,
}
"""By their SQL. What they return is True, False, or None for NULL."""
