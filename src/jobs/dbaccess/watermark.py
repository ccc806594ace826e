"""How far an incremental extract has come: a window of transactions, and where that is written down.

Order of ordinals is not order of commits: a transaction that still runs may commit a lower ordinal than one that was
read. So a run takes the row versions of a window of transactions, from where the last window ended up to the oldest
transaction that still runs (a snapshot's xmin): below that, nothing can appear any more. Each version is in one window.
A subtransaction's id is greater than that of its transaction, so that it, too, is below only when all has ended.
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT-PARTS
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess import catalog, locks
from jobs.dbaccess.errors import ExtractError, UsageError
from jobs.dbaccess.selection import Selection
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

TABLE = "pgjobs_watermarks"

_CREATE = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    watermark_id text PRIMARY KEY, source text NOT NULL, runs bigint NOT NULL, below xid8 NOT NULL,
    ordinal text, moved timestamptz NOT NULL DEFAULT now()
)
"""

_XIDS = 1 << 32
"""A row version knows the lower 32 bits of its transaction's id alone."""

_MOST_APART = 1 << 31
"""Ids further apart cannot be told from each other by these."""


@dataclass(frozen=True)
class Watermark:
    """What has been taken.

    Attributes:
        runs: how many runs have moved it.
        below: all transactions with a lower id have been taken.
        ordinal: the greatest that was taken, as text; None for none.
    """

    source: str
    runs: int
    below: int
    ordinal: str | None


@dataclass(frozen=True)
class Window:
    """Transactions: from `start` (None for the first of all) to before `below`; `after` is the first not begun yet."""

    start: int | None
    below: int
    after: int

    @property
    def condition(self) -> str:
        """Of row versions, as SQL."""
        if self.start is None:
            return f"({_distance(self.below)} >= {self.after - self.below})"
        return f"({_distance(self.start)} < {self.below - self.start})"


def _distance(xid: int) -> str:
    """How many ids after another one that of a row version is, around the circle of 32 bits."""
    return f"mod(xmin::text::bigint - {xid % _XIDS} + {_XIDS}, {_XIDS})"


def window(seen: str, last: Watermark | None) -> Window:
    """What is new in a snapshot.

    Args:
        seen: the snapshot, as PostgreSQL's pg_snapshot.
        last: what has been taken; None for nothing.

    Raises:
        ExtractError: the watermark is not of this server's history.
    """
    below, after = (int(part) for part in seen.split(":")[:2])
    if last is None:
        return Window(None, below, after)
    if last.below > below or below - last.below >= _MOST_APART:
        raise ExtractError(
            f"The watermark stands at transaction {last.below:,}, and the server's oldest is {below:,}: the database "
            "was restored elsewhere, or two billion transactions have passed.",
            "Take all rows anew under another --watermark-id.",
        )
    return Window(last.below, below, after)


def reached(session: Session, selection: Selection, window: Window, most: int | None) -> int | None:
    """How far of a window is to be taken in one go: the end as in `Window.below`; None where there is nothing in it.

    It reads the window's rows once.

    Args:
        session: sees the snapshot that the window is of.
        selection: the rows of the window.
        window: of transactions.
        most: rows after which to stop; a transaction is taken whole, so that there may be more. None for no end.
    """
    if most is None:
        return window.below if session.run(selection.select(["1"]) + " LIMIT 1") else None
    start = window.start or window.after - _MOST_APART
    counted = session.run(
        f"SELECT distance, sum(count(*)) OVER (ORDER BY distance)::bigint FROM "
        f"({selection.select([f'{_distance(start)} AS distance'])}) AS versions GROUP BY distance ORDER BY distance"
    )
    if not counted:
        return None
    last = next((distance for distance, rows in counted if rows >= most), None)
    return window.below if last is None else min(start + last + 1, window.below)


def ensure(session: Session) -> None:
    """Make the table of watermarks where it is missing.

    Raises:
        UsageError: the server is a standby. It could not tell which transactions run, either.
    """
    [[standby, exists]] = session.run("SELECT pg_is_in_recovery(), to_regclass(%s) IS NOT NULL", TABLE)
    if standby:
        raise UsageError(
            f"A watermark is kept in the table {TABLE}, and a standby cannot write.", "Connect to the primary."
        )
    if exists:
        return
    with session.transaction():
        session.run("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", f"pgjobs {TABLE}")
        session.run(_CREATE)
    made = catalog.find_table(session, TableName(TABLE))
    if made is not None:
        catalog.tell_subscribers(session, made.name)


def hold(session: Session, watermark_id: str) -> None:
    """Hold the watermark until the session ends; waits for another run that holds it.

    Raises:
        TransientError: that run did not end in time; the message tells who it is.
    """
    locks.wait(session, f"pgjobs watermark {watermark_id}", f"The watermark {watermark_id!r}")


def read(session: Session, watermark_id: str, source: str) -> Watermark | None:
    """The watermark, or None before its first run.

    Raises:
        UsageError: it is another source's.
    """
    found = session.run(
        f"SELECT source, runs, below::text::bigint, ordinal FROM {TABLE} WHERE watermark_id = %s", watermark_id
    )
    if not found:
        return None
    mark = Watermark(*found[0])
    if mark.source != source:
        raise UsageError(f"The watermark {watermark_id!r} is of {mark.source}, not of {source}.", "Give another id.")
    return mark


def move(session: Session, watermark_id: str, to: Watermark) -> None:
    """Write down that a run's rows are safe. To say so twice is the same as once.

    Raises:
        ExtractError: another run has moved it meanwhile.
    """
    moved = session.change(
        f"INSERT INTO {TABLE} AS w (watermark_id, source, runs, below, ordinal) "
        "VALUES (%s, %s, %s, %s::text::xid8, %s) "
        "ON CONFLICT (watermark_id) DO UPDATE SET (runs, below, ordinal, moved) = "
        "(excluded.runs, excluded.below, excluded.ordinal, now()) "
        "WHERE w.runs = excluded.runs - 1 OR (w.runs, w.below) = (excluded.runs, excluded.below)",
        watermark_id,
        to.source,
        to.runs,
        to.below,
        to.ordinal,
    )
    if not moved:
        raise ExtractError(f"Another run has moved the watermark {watermark_id!r} meanwhile.", "Run this again.")
