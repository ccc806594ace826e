"""Partitions and child tables that were attached to a table. Their rows are new then, whoever wrote them before.

A row of a partition belongs to the window of the later one of two transactions: the one that wrote it, and the one that
attached its partition. pg_inherits shows the latter: ATTACH and INHERIT insert a row there, and DETACH deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from jobs.dbaccess.extract.window import XIDS, Window
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

# For each descendant of a table: the transactions that attached it and its ancestors. A table with several parents has
# one line for each.
_CHAINS = """
WITH RECURSIVE tree (oid, attached) AS (
    SELECT %s::regclass::oid, '{}'::bigint[]
    UNION ALL
    SELECT i.inhrelid, tree.attached || i.xmin::text::bigint FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
)
SELECT oid::bigint, attached FROM tree WHERE attached <> '{}'
"""


def table_oid(session: Session, table: TableName) -> int:
    """Return the oid of a table, which identifies it even if another table gets its name."""
    oid = session.value("SELECT %s::regclass::oid::bigint", table.quoted)
    return int(oid)


def attached(session: Session, table: TableName, window: Window) -> Window:
    """Add to a window the tables that were attached in it, or later.

    Args:
        session: A session that sees the snapshot of the window.
        table: A table of any kind.
        window: The window of transactions.
    """
    return sorted_by_window(window, session.run(_CHAINS, table.quoted))


def sorted_by_window(window: Window, chains: Iterable[Sequence[object]]) -> Window:
    """Add tables to a window. A chain is an oid, and the transactions that attached the table and its ancestors."""
    known, later = -1, XIDS
    ages: dict[int, int] = {}
    for oid, xids in chains:
        assert isinstance(oid, int) and isinstance(xids, list)  # noqa: S101, PT018 - the types of the query's columns
        age = known
        for xid in xids:
            if (xid - window.xmin) % XIDS < window.xmax - window.xmin:
                age = later
            elif window.start is not None and (distance := (xid - window.start) % XIDS) < window.xmin - window.start:
                age = max(age, distance)
        ages[oid] = min(ages.get(oid, later), age)
    return replace(
        window,
        whole=tuple(sorted((oid, age) for oid, age in ages.items() if known < age < later)),
        later=tuple(sorted(oid for oid, age in ages.items() if age == later)),
    )
