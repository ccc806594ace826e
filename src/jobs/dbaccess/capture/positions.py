"""Where the position of a reader is stored: in the database of its target, so that both change in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.capture.position import Position
from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.session import Session

TABLE = "pgjobs_captures"

_POSITIONS = OwnTable(
    TABLE,
    "target text PRIMARY KEY, target_oid bigint NOT NULL, source text NOT NULL, reader text NOT NULL, "
    "number bigint NOT NULL, snapshot text NOT NULL, history text NOT NULL, definition text NOT NULL, "
    "moved timestamptz NOT NULL DEFAULT now()",
)


@dataclass(frozen=True)
class Mark:
    """What a position belongs to.

    Attributes:
        name: The target, which has one reader.
        oid: Of a table; 0 for files.
        source: The captured table, by a name that is unique among servers and databases.
    """

    name: str
    oid: int
    source: str


def ensure(session: Session) -> None:
    """Create the table of positions if it is missing.

    Raises:
        UsageError: The server is a standby, or the table's owner is not trusted.
    """
    standby = session.value("SELECT pg_is_in_recovery()")
    if standby:
        raise UsageError("The target is on a standby, which cannot write.", "Connect to its primary.")
    _POSITIONS.ensure(session)


def find(session: Session, target: str, oid: int, source: str) -> Position | None:
    """Return the position of the reader that writes a target, or None if none has.

    Raises:
        UsageError: Another capture writes it.
    """
    rows = session.run(
        "SELECT target_oid, source, reader, number, snapshot, history, definition "
        f"FROM {_POSITIONS.quoted(session)} WHERE target = %s",
        target,
    )
    if not rows or rows[0][0] != oid:
        return None
    [[_, stored_source, *stored]] = rows
    if stored_source != source:
        raise UsageError(
            f"{target} is the copy of {stored_source}, not of {source}.",
            "Name another target, or drop it, and it is then made anew.",
        )
    return Position(*stored)


def store(session: Session, target: Mark, last: Position | None, to: Position) -> None:
    """Store the reader's new position, in the transaction that writes its rows.

    Raises:
        LoadError: Another job has moved it meanwhile.
    """
    positions = _POSITIONS.quoted(session)
    values = (target.oid, target.source, to.reader, to.number, to.snapshot, to.history, to.definition, target.name)
    if last is None:
        session.run(f"DELETE FROM {positions} WHERE target = %s AND target_oid <> %s", target.name, target.oid)
        moved = session.run(
            f"INSERT INTO {positions} (target_oid, source, reader, number, snapshot, history, definition, target) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING 1",
            *values,
        )
    else:
        moved = session.run(
            f"UPDATE {positions} SET target_oid = %s, source = %s, reader = %s, number = %s, snapshot = %s, "
            "history = %s, definition = %s, moved = now() WHERE target = %s AND number = %s AND reader = %s "
            "RETURNING 1",
            *values,
            last.number,
            last.reader,
        )
    if not moved:
        raise LoadError(f"Another job has written {target.name} meanwhile.", "Run one at a time.")
