"""Rows as a table of text, for a person."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from decimal import Decimal

WIDEST = 60
"""Characters of a value that are shown."""

_NUMBERS = (int, float, Decimal)


def text_table(columns: Sequence[str], rows: Sequence[Sequence[object]], most: int) -> str:
    """Return a table with at most so many rows. It says how many it leaves out. Long values are cut."""
    shown = [list(map(_text, row)) for row in rows[:most]]
    names = [_cut(_on_one_line(name)) for name in columns]
    widths = [max(map(len, column)) for column in zip(names, *shown)]
    to_right = [
        all(isinstance(value, _NUMBERS) and not isinstance(value, bool) for value in column if value is not None)
        for column in zip(*rows[:most])
    ] or [False] * len(names)
    lines = [_line(names, widths, [False] * len(names)), "-+-".join("-" * width for width in widths)]
    lines += [_line(row, widths, to_right) for row in shown]
    if len(rows) > most:
        lines.append(f"... and {len(rows) - most:,} more of {len(rows):,} rows")
    return "\n".join(lines)


def _line(values: Sequence[str], widths: Sequence[int], to_right: Sequence[bool]) -> str:
    cells = [
        value.rjust(width) if right else value.ljust(width) for value, width, right in zip(values, widths, to_right)
    ]
    return " | ".join(cells).rstrip()


def _text(value: object) -> str:
    """Return a value as one line; NULL is empty, as in psql."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, (list, dict)):
        return _cut(_on_one_line(json.dumps(value, default=str, ensure_ascii=False)))
    if isinstance(value, (bytes, bytearray)):
        return _cut("\\x" + bytes(value).hex())
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    return _cut(_on_one_line(str(value)))


def _on_one_line(text: str) -> str:
    """Return a text without control characters, which could move the cursor of a terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def _cut(text: str) -> str:
    return text if len(text) <= WIDEST else text[: WIDEST - 3] + "..."
