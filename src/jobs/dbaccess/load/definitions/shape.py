"""What a table that a load creates is to be, beside its columns' types: how it is partitioned, and what columns say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

PARTITION_BY, NOT_NULL = "--partition-by", "--not-null"
"""The flags, as messages name them."""

RANGE, LIST, HASH = "range", "list", "hash"

_WRITTEN = re.compile(
    r'\s*(?P<strategy>range|list|hash)\s*\(\s*(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[^",()]+?))\s*'
    r"(?:,\s*(?P<parts>\d+)\s*)?\)\s*",
    re.IGNORECASE,
)
_MOST_PARTS = 1000


@dataclass(frozen=True)
class PartitionBy:
    """How a new table is partitioned.

    Attributes:
        strategy: RANGE, LIST or HASH.
        column: The partition key.
        parts: How many partitions by hash; 0 for others.
    """

    strategy: str
    column: str
    parts: int = 0

    @property
    def clause(self) -> str:
        """What follows the columns in CREATE TABLE."""
        return f" PARTITION BY {self.strategy.upper()} ({quote_name(self.column)})"

    @property
    def bounds(self) -> tuple[str, ...]:
        """The bounds of partitions that do not depend on rows."""
        return tuple(f"FOR VALUES WITH (MODULUS {self.parts}, REMAINDER {part})" for part in range(self.parts))


def parse_partition_by(text: str) -> PartitionBy:
    """Parse `range(day)`, `list(country)` or `hash(id, 8)`.

    Raises:
        UsageError: The text is none of them.
    """
    found = _WRITTEN.fullmatch(text)
    strategy = found["strategy"].lower() if found else ""
    parts = int(found["parts"] or 0) if found else 0
    if found is None or (strategy == HASH) != bool(parts) or parts > _MOST_PARTS:
        raise UsageError(
            f"{PARTITION_BY} {text!r} does not say how to partition the table.",
            "Write 'range(day)', 'list(country)' or 'hash(id, 8)'.",
        )
    column = found["quoted"].replace('""', '"') if found["quoted"] else found["plain"]
    return PartitionBy(strategy, column, parts)


@dataclass(frozen=True)
class Shape:
    """What a new table is to be.

    Attributes:
        partition_by: How it is partitioned, if at all.
        required: The columns that are NOT NULL.
        comments: Comments by their columns.
    """

    partition_by: PartitionBy | None = None
    required: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()

    @property
    def clause(self) -> str:
        """What follows the columns in CREATE TABLE."""
        return self.partition_by.clause if self.partition_by else ""

    def check(self, names: Sequence[str], keys: Sequence[str], rule: str) -> None:
        """Check that a table with these columns can be partitioned so.

        Args:
            names: Its columns.
            keys: The columns of its smallest unique index.
            rule: The rule of partitions that rows lack, or "".

        Raises:
            UsageError: It cannot.
        """
        by = self.partition_by
        if by is None:
            return
        if by.column not in names:
            raise UsageError(f"{PARTITION_BY}: the data has no column {by.column!r}.", f"It has {', '.join(names)}.")
        if keys and by.column not in keys:
            raise UsageError(
                f"A primary key contains the column by which its table is partitioned, and {by.column!r} is no key.",
                f"Partition by a column of --keys, or leave {PARTITION_BY} out.",
            )
        if by.strategy == RANGE and rule in ("", "auto", "no"):
            raise UsageError(
                f"{PARTITION_BY} range({by.column}) does not say how large partitions are.",
                "Give --new-partitions day, month, '1 week' or, for integers, a number such as 1000000.",
            )

    def altering(self, table: TableName) -> Iterator[str]:
        """Yield the statements that give a table with these columns this shape, but for partitions."""
        if self.required:
            altered = ", ".join(f"ALTER COLUMN {quote_name(name)} SET NOT NULL" for name in self.required)
            yield f"ALTER TABLE {table.quoted} {altered}"
        for column, comment in self.comments:
            yield f"COMMENT ON COLUMN {table.quoted}.{quote_name(column)} IS {quote_literal(comment)}"


NO_SHAPE = Shape()
