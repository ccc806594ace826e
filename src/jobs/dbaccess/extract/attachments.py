"""Partitions and heirs that a table was given: their rows are new when they were attached, whoever wrote them before.

A row of a partition is in the window of the later one of two transactions: that which wrote it, and that which attached
its partition. pg_inherits knows the latter: ATTACH and INHERIT insert a row there, and DETACH deletes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from jobs.dbaccess.extract.watermark import XIDS, Window
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

# Of each table below another one: by which transactions it, and what it is below of, was attached. With several
# parents, there is a line for each.
_CHAINS = """
WITH RECURSIVE tree (oid, attached) AS (
    SELECT %s::regclass::oid, '{}'::bigint[]
    UNION ALL
    SELECT i.inhrelid, tree.attached || i.xmin::text::bigint FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
)
SELECT oid::bigint, attached FROM tree WHERE attached <> '{}'
"""


def table_oid(session: Session, table: TableName) -> int:
    """The table's own id, which another table of its name does not have."""
    [[oid]] = session.run("SELECT %s::regclass::oid::bigint", table.quoted)
    return int(oid)


def attached(session: Session, table: TableName, window: Window) -> Window:
    """The window with what was attached to a table in it, or later.

    Args:
        session: sees the snapshot that the window is of.
        table: of any kind.
        window: of transactions.
    """
    return sorted_by_window(window, session.run(_CHAINS, table.quoted))


def sorted_by_window(window: Window, chains: Iterable[Sequence[object]]) -> Window:
    """The window with the tables of these chains: an oid, and the transactions that attached it and those above it."""
    known, later = -1, XIDS
    ages: dict[int, int] = {}
    for oid, xids in chains:
        assert isinstance(oid, int) and isinstance(xids, list)  # noqa: S101, PT018 - as the query has it
        age = known
        for xid in xids:
            if (xid - window.below) % XIDS < window.after - window.below:
                age = later
            elif window.start is not None and (distance := (xid - window.start) % XIDS) < window.below - window.start:
                age = max(age, distance)
        ages[oid] = min(ages.get(oid, later), age)
    return replace(
        window,
        whole=tuple(sorted((oid, age) for oid, age in ages.items() if known < age < later)),
        later=tuple(sorted(oid for oid, age in ages.items() if age == later)),
    )
