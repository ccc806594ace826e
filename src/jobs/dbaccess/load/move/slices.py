"""Append in slices: the staged rows are moved by several statements of one transaction, with time between them.

So standbys can catch up before the next slice: they replay WAL before the transaction commits. The rows still become
visible at once.
"""

from __future__ import annotations

from typing import Protocol

from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

PAGES = 512
"""Pages of staging per slice, with large values: 4 MB, of which indexes make several times as much WAL."""


class Pace(Protocol):
    """Decides when the next slice may start."""

    def wait(self) -> None:
        """Wait until it may."""

    def ended(self) -> None:
        """Take note that a slice has ended."""


def can_slice(session: Session, move: Move, target: TableName) -> bool:
    """Return whether several statements have the same effect as one.

    With a foreign key of the table, or of a partition, to itself, a row may need one of a later slice.
    """
    return move.mode == "append" and not session.value(_REFERS_TO_ITSELF, *[target.quoted] * 3)


_REFERS_TO_ITSELF = """
SELECT EXISTS (
    WITH family (relid) AS (SELECT %s::regclass UNION SELECT relid FROM pg_partition_tree(%s::regclass)
        UNION SELECT relid FROM pg_partition_ancestors(%s::regclass) AS a (relid))
    SELECT FROM pg_constraint JOIN family AS one ON one.relid = conrelid
        JOIN family AS other ON other.relid = confrelid WHERE contype = 'f')
"""


def insert(session: Session, move: Move, target: TableName, staged: TableName, pace: Pace) -> int:
    """Insert all staged rows, and return how many rows the server counted."""
    pages, of_large_values = session.row(2, _PAGES, staged.quoted)
    each = max(1, PAGES * pages // max(1, pages + of_large_values))
    inserted = 0
    for first in range(0, pages, each):
        pace.wait()
        with session.users_path():
            inserted += session.change(move.insert_from(target, slice_of(move, staged, first, each)))
        pace.ended()
    return inserted


def slice_of(move: Move, staged: TableName, first: int, pages: int = PAGES) -> str:
    """Return a query for the rows in so many pages from `first` on. The server scans only these."""
    begin, end = (f"'({page},0)'::pg_catalog.tid" for page in (first, first + pages))
    return f"{move.source(staged)} WHERE ctid OPERATOR(pg_catalog.>=) {begin} AND ctid OPERATOR(pg_catalog.<) {end}"


_PAGES = """
SELECT pg_relation_size(oid) / block, coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) / block
FROM pg_class, CAST(current_setting('block_size') AS int) AS block WHERE oid = %s::regclass
"""
"""Values of more than some 2 kB are in a table of their own (TOAST)."""
