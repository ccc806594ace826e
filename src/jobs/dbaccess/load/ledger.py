"""The ledger of finished loads: Luigi's own marker table, written in the transaction that publishes.

The layout is that of luigi.contrib.postgres, so that Luigi's tasks and these jobs see each other's work:
https://github.com/spotify/luigi/blob/master/luigi/contrib/postgres.py
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from jobs.dbaccess.catalog.own_tables import OwnTable
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, is_text

MARKER_TABLE = "table_updates"

MAX_ID_BYTES = 2692
"""The longest id that the marker table's index takes: a B-tree's entry is at most 2,704 bytes, and 12 are its headers.
https://github.com/postgres/postgres/blob/master/src/include/access/nbtree.h (BTMaxItemSize)"""

_MARKERS = OwnTable(MARKER_TABLE, "update_id TEXT PRIMARY KEY, target_table TEXT, inserted TIMESTAMP DEFAULT NOW()")


def ensure(session: Session) -> None:
    """Create the marker table if it is missing. A user who may not create tables needs another user to create it once.

    Raises:
        UsageError: The table's owner is not trusted, or there is no schema to create it in.
    """
    _MARKERS.ensure(session)


def check_id(load_id: str, name: str = "The load id", reserved: int = 0) -> None:
    """Check that an id can be recorded.

    Args:
        load_id: The id.
        name: What the caller calls it.
        reserved: The number of bytes that the caller will append.

    Raises:
        UsageError: The id is blank or too long, or PostgreSQL cannot store it as text.
    """
    if not load_id.strip():
        raise UsageError(f"{name} is empty.", "Give an id, or check the variable that was to hold it.")
    size, most = len(load_id.encode(errors="replace")), MAX_ID_BYTES - reserved
    if size > most:
        raise UsageError(f"{name} has {size:,} bytes, and may have {most:,}.", "Give a shorter one.")
    if not is_text(load_id):
        raise UsageError(f"{name} {load_id!r} contains NUL, or bytes that are not UTF-8.", "Give an id without them.")


def is_recorded(session: Session, load_id: str, target: TableName) -> bool:
    """Return whether a load of this id into this table has finished.

    Args:
        session: A session of the ledger's database.
        load_id: The id of the load.
        target: The table under its full name.

    Raises:
        UsageError: The id is taken by something else.
    """
    recorded = recorded_target(session, load_id)
    if recorded is None:
        return False
    check_same_table(load_id, recorded, target)
    return True


def check_same_table(load_id: str, recorded: str, target: TableName) -> None:
    """Check that a marker names a table, in full. Luigi writes whatever name its task has.

    Args:
        load_id: The id of the marker.
        recorded: The marker's target_table.
        target: The table under its full name.

    Raises:
        UsageError: The marker names another table, or none.
    """
    unquoted = f"{target.schema}.{target.name}"  # markers were written like this before names in them were quoted
    if recorded == unquoted or _parsed(recorded) == target:
        return
    taken = f"by a marker of {recorded!r}" if recorded else "by a marker that names no table"
    raise UsageError(
        f"The load id {load_id!r} is taken {taken}, which is not {target}.",
        f"Give each load its own id. If that was this load, set the marker's target_table in {MARKER_TABLE}.",
    )


def _parsed(recorded: str) -> TableName | None:
    """Return the name in a marker, or None if it contains none."""
    try:
        return TableName.parse(recorded)
    except UsageError:
        return None


def recorded_target(session: Session, load_id: str) -> str | None:
    """Return what the marker of an id names: a table, or whatever another program wrote. None if there is no marker."""
    markers = session.run(f"SELECT target_table FROM {_MARKERS.quoted(session)} WHERE update_id = %s", load_id)
    return str(markers[0][0] or "") if markers else None


@dataclass(frozen=True)
class Marker:
    """A marker of a finished load.

    Attributes:
        load_id: The id.
        table: What it names: usually a table.
        inserted: When it was written, by the server's clock in the time zone of its session; None if that is not known.
    """

    load_id: str
    table: str | None
    inserted: dt.datetime | None


def markers(session: Session, *, load_id: str | None = None, table: str | None = None, limit: int) -> list[Marker]:
    """Return the latest markers, the newest first. There are none if the marker table does not exist.

    Args:
        session: A session.
        load_id: Only the marker of this id.
        table: Only markers that name this table, as they write it.
        limit: The most to return.

    Raises:
        UsageError: The marker table's owner is not trusted.
    """
    if _MARKERS.find(session) is None:
        return []
    found = session.run(
        f"SELECT update_id, target_table, inserted FROM {_MARKERS.quoted(session)} "
        "WHERE (%s::text IS NULL OR update_id = %s::text) AND (%s::text IS NULL OR target_table = %s::text) "
        "ORDER BY inserted DESC NULLS LAST, update_id LIMIT %s::bigint",
        *(load_id, load_id, table, table, limit),
    )
    return [Marker(*row) for row in found]


def forget(session: Session, load_id: str) -> bool:
    """Delete the marker of an id, so that it can be loaded again. Return whether there was one."""
    if _MARKERS.find(session) is None:
        return False
    return bool(session.change(f"DELETE FROM {_MARKERS.quoted(session)} WHERE update_id = %s", load_id))


def record(session: Session, load_id: str, target: str) -> bool:
    """Write the marker in the open transaction. Return False if the id has one already.

    If another transaction has written a marker of this id, this waits until that transaction ends.
    """
    return bool(
        session.change(
            f"INSERT INTO {_MARKERS.quoted(session)} (update_id, target_table, inserted) VALUES (%s, %s, now()) "
            "ON CONFLICT (update_id) DO NOTHING",
            load_id,
            target,
        )
    )
