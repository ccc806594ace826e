"""A window of transactions: what is new in a snapshot since another one.

The order of ordinals is not the order of commits: a transaction that is still running may commit a lower ordinal than
one that was read. So a run reads the row versions of a window of transactions, from the end of the last window up to
the oldest transaction that is still running (a snapshot's xmin). No row version with a lower transaction id can appear
after that. Each version is in one window. The id of a subtransaction is greater than that of its transaction, so it,
too, is lower than xmin only after the whole transaction has ended.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.session import Session

XIDS = 1 << 32
"""A row version stores only the lower 32 bits of its transaction id."""

_MOST_APART = 1 << 31
"""Ids that are further apart cannot be distinguished by these bits."""


@dataclass(frozen=True)
class Window:
    """A range of transactions: from `start` (None for the first of all) up to, but not including, `xmin`.

    Attributes:
        xmax: The first transaction id that had not been assigned when the snapshot was taken.
        whole: Tables whose older rows are new, too: oid -> how far after the start they were attached.
        later: Tables none of whose rows are new yet.
    """

    start: int | None
    xmin: int
    xmax: int
    whole: tuple[tuple[int, int], ...] = ()
    later: tuple[int, ...] = ()

    @property
    def condition(self) -> str:
        """Return the condition on row versions, as SQL."""
        ended = f"{_distance(self.xmin)} OPERATOR(pg_catalog.>=) {self.xmax - self.xmin}"
        new = (
            ended if self.start is None else f"{_distance(self.start)} OPERATOR(pg_catalog.<) {self.xmin - self.start}"
        )
        if self.whole:
            new = f"({new} OR {_is_of(oid for oid, _ in self.whole)} AND {ended})"
        return f"({new} AND NOT {_is_of(self.later)})" if self.later else f"({new})"

    def distance(self, start: int) -> str:
        """Return how far after a start a row became new, as SQL."""
        written = _distance(start)
        if not self.whole:
            return written
        attached = " ".join(f"WHEN {_is_of([oid])} THEN {distance}" for oid, distance in self.whole)
        is_new = f"{written} OPERATOR(pg_catalog.<) {self.xmin - start}"
        return f"greatest(CASE WHEN {is_new} THEN {written} ELSE 0 END, CASE {attached} ELSE 0 END)::bigint"


def _is_of(oids: Iterable[int]) -> str:
    """Return whether a row belongs to one of these tables, as SQL."""
    listed = ", ".join(map(str, oids))
    return f"tableoid OPERATOR(pg_catalog.=) ANY ('{{{listed}}}'::pg_catalog.oid[])"


def _distance(xid: int) -> str:
    """Return how many ids a row version's transaction is after another one, modulo 2^32."""
    ids = f"xmin::pg_catalog.text::bigint OPERATOR(pg_catalog.-) {xid % XIDS} OPERATOR(pg_catalog.+) {XIDS}"
    return f"pg_catalog.mod({ids}, {XIDS})"


ALL_AGAIN = "Extract all rows again, with another --watermark-id or with --restart-watermark."


def window_since(seen: str, extracted: int, all_again: str = ALL_AGAIN) -> Window:
    """Return the window of what is new in a snapshot.

    Args:
        seen: The snapshot, as PostgreSQL's pg_snapshot.
        extracted: All transactions with a lower id have been extracted; 0 for none.
        all_again: What to do if that cannot be: how all rows are read again.

    Raises:
        ExtractError: `extracted` cannot belong to this server's history.
    """
    xmin, xmax = (int(part) for part in seen.split(":")[:2])
    if not extracted:
        return Window(None, xmin, xmax)
    if extracted > xmin or xmin - extracted >= _MOST_APART:
        raise ExtractError(
            f"What was read ends at transaction {extracted:,}, and the server's oldest is {xmin:,}: the database "
            "was restored elsewhere, or two billion transactions have passed.",
            all_again,
        )
    return Window(extracted, xmin, xmax)


def reached(session: Session, selection: Selection, window: Window, most: int | None) -> int | None:
    """Return how much of a window to extract at once: its end, as in `Window.xmin`; None if the window is empty.

    This reads the rows of the window once.

    Args:
        session: A session that sees the snapshot of the window.
        selection: The rows of the window.
        window: The window of transactions.
        most: The number of rows after which to stop. Transactions are not split, so there may be more. None for no
            limit.
    """
    if most is None:
        return window.xmin if session.query(selection.select(["1"]) + " LIMIT 1") else None
    start = window.start or window.xmax - _MOST_APART
    versions = selection.select([f"{window.distance(start)} AS distance"])
    counted = session.query(
        f"SELECT distance, pg_catalog.sum(pg_catalog.count(*)) OVER (ORDER BY distance)::bigint "
        f"FROM ({versions}) AS versions GROUP BY distance ORDER BY distance"
    )
    if not counted:
        return None
    last = next((distance for distance, rows in counted if rows >= most), None)
    return window.xmin if last is None else min(start + last + 1, window.xmin)
