"""The ledger of finished loads: Luigi's own marker table, written in the transaction that publishes.

The layout is that of luigi.contrib.postgres, so that Luigi's tasks and these jobs see each other's work:
https://github.com/spotify/luigi/blob/master/luigi/contrib/postgres.py
"""

from __future__ import annotations

from jobs.dbaccess import locks
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
    """Create the marker table where it is missing. For a user who may not create tables, another one creates it once.

    Raises:
        UsageError: the table's owner is not trusted, or there is no schema to create it in.
    """
    _MARKERS.ensure(session)


def check_id(load_id: str, name: str = "The load id", reserved: int = 0) -> None:
    """Check that an id can be recorded.

    Args:
        load_id: names a load for ever.
        name: what the caller calls it.
        reserved: bytes that the caller will append.

    Raises:
        UsageError: it is blank, no text of PostgreSQL's, or too long.
    """
    if not load_id.strip():
        raise UsageError(f"{name} is empty.", "Give an id, or check the variable that was to hold it.")
    size, most = len(load_id.encode(errors="replace")), MAX_ID_BYTES - reserved
    if size > most:
        raise UsageError(f"{name} has {size:,} bytes, and may have {most:,}.", "Give a shorter one.")
    if not is_text(load_id):
        raise UsageError(f"{name} {load_id!r} holds NUL, or bytes that are not UTF-8.", "Give an id without them.")


def is_recorded(session: Session, load_id: str, target: TableName) -> bool:
    """Whether a load of this id into this table has finished.

    Args:
        session: where the ledger is.
        load_id: of the load.
        target: the table under its full name.

    Raises:
        UsageError: the id is taken by something else.
    """
    recorded = recorded_target(session, load_id)
    if recorded is None:
        return False
    check_same_table(load_id, recorded, target)
    return True


def check_same_table(load_id: str, recorded: str, target: TableName) -> None:
    """Check that a marker names a table, in full. Luigi writes whatever name its task has.

    Args:
        load_id: of the marker.
        recorded: the marker's target_table.
        target: the table under its full name.

    Raises:
        UsageError: the marker names another table, or none.
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
    """The name in a marker; None where it holds none."""
    try:
        return TableName.parse(recorded)
    except UsageError:
        return None


def recorded_target(session: Session, load_id: str) -> str | None:
    """What the marker of an id names: a table, or whatever another program wrote; None where there is no marker."""
    markers = session.run(f"SELECT target_table FROM {_MARKERS.quoted(session)} WHERE update_id = %s", load_id)
    return str(markers[0][0] or "") if markers else None


def record(session: Session, load_id: str, target: str) -> bool:
    """Write the marker in the transaction that is open; False where the id has one already.

    Another transaction that has written a marker of this id, and is still open, is waited for.
    """
    return bool(
        session.change(
            f"INSERT INTO {_MARKERS.quoted(session)} (update_id, target_table) VALUES (%s, %s) "
            "ON CONFLICT (update_id) DO NOTHING",
            load_id,
            target,
        )
    )


def claim_load(session: Session, load_id: str) -> bool:
    """Hold the load id until this session ends, unless another session holds it; whether this one holds it now."""
    return locks.take(session, locks.load(load_id))


def await_load(session: Session, load_id: str, seconds: int = locks.LONGEST_WAIT) -> None:
    """Wait until the session that holds the load id has ended, then hold it.

    Raises:
        TransientError: it did not end within so many seconds; the message says who holds it.
    """
    locks.wait(session, locks.load(load_id), seconds)


def holder(session: Session, load_id: str) -> str:
    """The session that holds the load id, in words."""
    return locks.holder(session, locks.load(load_id))
