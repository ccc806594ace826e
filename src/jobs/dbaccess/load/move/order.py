"""The order of rows with the same keys, of which the first is moved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import quote_name

_ORDER = re.compile(
    r'\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<name>[^\s",]+))'
    r"(?:\s+(?P<direction>asc|desc))?(?:\s+nulls\s+(?P<nulls>first|last))?\s*(?:,|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OrderBy:
    """One column of an ORDER BY."""

    column: str
    descending: bool = False
    nulls_first: bool | None = None

    @property
    def quoted(self) -> str:
        """The column and its direction, for a statement."""
        nulls = {None: "", True: " NULLS FIRST", False: " NULLS LAST"}[self.nulls_first]
        return quote_name(self.column) + (" DESC" if self.descending else "") + nulls


def parse_order(text: str) -> tuple[OrderBy, ...]:
    """Parse an order such as `updated_at desc nulls last, "Weird Name"`.

    Raises:
        UsageError: The text is not a list of columns with their directions.
    """
    order: list[OrderBy] = []
    position = 0
    while position < len(text) or not order:
        item = _ORDER.match(text, position)
        if item is None or item.end() == position or (item.end() == len(text) and text.rstrip().endswith(",")):
            raise UsageError(f"{text!r} is not an order.", "Write, for example: updated_at desc nulls last, id")
        name = item["quoted"].replace('""', '"') if item["quoted"] else item["name"]
        nulls = item["nulls"].lower() == "first" if item["nulls"] else None
        order.append(OrderBy(name, (item["direction"] or "").lower() == "desc", nulls))
        position = item.end()
    return tuple(order)


def order_of(dedupe_order: str | None, order_by: Iterable[str]) -> tuple[OrderBy, ...]:
    """Return the order of rows with the same keys, of which the first is moved.

    Args:
        dedupe_order: As `parse_order` reads it; None or empty for none.
        order_by: Columns, of which the last values count. NULL comes before all.

    Raises:
        UsageError: Both are given.
    """
    last_by = tuple(OrderBy(column, descending=True, nulls_first=False) for column in order_by)
    if dedupe_order is None or (not dedupe_order and last_by):
        return last_by
    if last_by:
        raise UsageError("--dedupe-order and --order-by both choose one row of each key.", "Leave one of them out.")
    return parse_order(dedupe_order)
