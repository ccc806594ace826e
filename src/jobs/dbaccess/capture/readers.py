"""Who reads a capture, and how far each is: stored beside the table of changes, which is pruned by it.

A reader stores its position here after its target has committed it, so the position here is never ahead.
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.position import Position, Seen
from jobs.dbaccess.session import Session

PRUNED_AT_ONCE = 1_000
"""Rows of the table of changes that one statement deletes: each has up to 10,000 keys."""


@dataclass(frozen=True)
class Reader:
    """A reader of a capture.

    Attributes:
        id: Chosen when it read first.
        label: Where it writes.
        number: Of its last batch.
        rows: Those that it has carried over.
        silent: Seconds since it stored its position.
        waiting: Keys that were recorded since, those that were recorded several times included.
        delay: Seconds since the oldest of them was recorded; 0 if there are none.
        session: The process of the server that it uses now; None if it is not running.
    """

    id: str
    label: str
    number: int
    rows: int
    silent: float
    waiting: int
    delay: float
    session: int | None


def register(session: Session, capture: Capture, reader: str, label: str) -> None:
    """Make a reader known, before it takes its first snapshot: from now on no change is pruned that it needs."""
    session.change(
        f"INSERT INTO {capture.readers.quoted} (reader, label, number, snapshot) "
        "VALUES (%s, %s, 0, pg_current_snapshot()::text)",
        reader,
        label,
    )


def stillborn(session: Session, capture: Capture, label: str) -> list[str]:
    """Return the readers of a target that ended before their first batch.

    Args:
        session: At the source. Its user holds the target's lock, so no other reader of it is running.
        capture: The capture.
        label: What the readers write.
    """
    rows = session.run(f"SELECT reader FROM {capture.readers.quoted} WHERE label = %s AND number = 0", label)
    return [reader for [reader] in rows if locks.holding_process(session, locks.capture_reader(reader)) is None]


def is_known(session: Session, capture: Capture, reader: str) -> bool:
    """Return whether changes are kept for a reader."""
    return bool(session.run(f"SELECT 1 FROM {capture.readers.quoted} WHERE reader = %s", reader))


def store(session: Session, capture: Capture, position: Position, rows: int) -> bool:
    """Store a reader's position, and the rows it carried since. Return whether the source still knows it."""
    return bool(
        session.change(
            f"UPDATE {capture.readers.quoted} SET number = %s, snapshot = %s, rows = rows + %s, seen = now() "
            "WHERE reader = %s",
            position.number,
            position.snapshot,
            rows,
            position.reader,
        )
    )


def make_durable(session: Session, capture: Capture, reader: str, written: str) -> None:
    """Wait until a crash of the source's server can no longer undo what a snapshot saw.

    A transaction with synchronous_commit = off is seen before it is on disk. After a crash, another one could get its
    id, and its changes would be taken for those that the reader has.

    Args:
        session: At the source.
        capture: What is captured.
        reader: The reader's id.
        written: As in `changes.Look`.
    """
    if not written or session.run("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", written) != [[True]]:
        with session.transaction(synchronous_commit="on"):
            session.change(f"UPDATE {capture.readers.quoted} SET seen = now() WHERE reader = %s", reader)


def prune(session: Session, capture: Capture) -> int:
    """Delete the changes that every reader has, in small transactions. Return how many rows were deleted.

    A reader that registers meanwhile begins with a copy of the whole table, in a later snapshot.
    """
    [now, snapshots] = session.row(
        2, f"SELECT pg_current_snapshot()::text, ARRAY(SELECT snapshot FROM {capture.readers.quoted})"
    )
    horizon = min(Seen.parse(text).xmin for text in (now, *snapshots))
    deleted = 0
    while True:
        rows = session.change(
            f"DELETE FROM {capture.changes.quoted} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {capture.changes.quoted} "
            f"WHERE xid < %s::text::xid8 ORDER BY xid LIMIT {PRUNED_AT_ONCE}))",
            str(horizon),
        )
        deleted += rows
        if rows < PRUNED_AT_ONCE:
            return deleted


def status(session: Session, capture: Capture) -> list[Reader]:
    """Return the readers, how far they are, and which of them are running."""
    rows = session.run(
        f"SELECT reader, label, number, rows, extract(epoch FROM now() - seen)::float8, snapshot "
        f"FROM {capture.readers.quoted} ORDER BY label, reader"
    )
    found = []
    for reader, label, number, carried, silent, text in rows:
        [waiting, delay] = session.row(
            2,
            f"SELECT coalesce(sum(coalesce(cardinality({capture.columns[0]}), 1)), 0)::bigint, "
            "coalesce(extract(epoch FROM clock_timestamp() - min(at)), 0)::float8 "
            f"FROM {capture.changes.quoted} AS c WHERE {Seen.parse(text).later}",
        )
        found.append(
            Reader(
                id=reader,
                label=label,
                number=number,
                rows=carried,
                silent=silent,
                waiting=waiting,
                delay=delay,
                session=locks.holding_process(session, locks.capture_reader(reader)),
            )
        )
    return found


def forget(session: Session, capture: Capture, reader: str) -> bool:
    """Forget a reader, so that changes are no longer kept for it. Return whether it was known."""
    return bool(session.change(f"DELETE FROM {capture.readers.quoted} WHERE reader = %s", reader))
