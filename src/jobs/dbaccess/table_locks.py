"""Locks on tables: against other writers, which ones a session holds, and a bounded wait that names who is in the way.

Reading takes ACCESS SHARE, which conflicts with ACCESS EXCLUSIVE alone: TRUNCATE, DROP, most of ALTER TABLE.
https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.dbaccess.errors import DatabaseError, TransientError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import LOCK_TIMEOUT

ROW_SHARE, ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE, SHARE_ROW_EXCLUSIVE, ACCESS_EXCLUSIVE = (
    *("ROW SHARE", "ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "SHARE ROW EXCLUSIVE", "ACCESS EXCLUSIVE"),
)
"""Modes, as LOCK TABLE writes them."""

KEEPS_OUT = {
    ROW_SHARE: "no reader and no writer; LOCK TABLE in EXCLUSIVE mode",
    ROW_EXCLUSIVE: "no reader and no writer; CREATE INDEX, and most of ALTER TABLE",
    SHARE_UPDATE_EXCLUSIVE: "no reader and no writer; VACUUM, and changes of the table's definition",
    SHARE_ROW_EXCLUSIVE: "writers; not readers",
    ACCESS_EXCLUSIVE: "readers and writers",
}
"""A mode -> who waits for the holder."""

# Relations that hold or show rows. The system's own have lower oids, and are never swapped.
_LOCKED = (
    "pg_locks l JOIN pg_class c ON c.oid = l.relation LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
    "WHERE l.locktype = 'relation' "
    "AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
    "AND l.relation >= 16384 AND c.relkind IN ('r', 'p', 'm', 'v', 'f')"
)


def keep_writers_out(session: Session, table: TableName) -> None:
    """Exclude other writers, new foreign keys, triggers and policies until the commit. Readers are not blocked."""
    session.run(keeping_writers_out(table))


def keeping_writers_out(table: TableName) -> str:
    """Return the statement that does so."""
    return f"LOCK TABLE {table.quoted} IN {SHARE_ROW_EXCLUSIVE} MODE"


def held_relations(session: Session) -> frozenset[int]:
    """Return the oids of the tables and views that the session's transaction has locked, in any mode."""
    oids = session.run(f"SELECT l.relation::bigint FROM {_LOCKED} AND l.granted AND l.pid = pg_backend_pid()")
    return frozenset(oid for [oid] in oids)


@contextmanager
def awaited(session: Session, seconds: int) -> Iterator[None]:
    """Limit the wait for each lock in the block. This sets the session's lock_timeout, which stays set.

    Raises:
        TransientError: A lock was not granted in time. The message names the sessions in the way.
    """
    session.run("SELECT set_config('lock_timeout', %s, false)", f"{seconds}s")
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate != LOCK_TIMEOUT:
            raise
        raise _in_the_way(session, seconds) from None


def _in_the_way(session: Session, seconds: int) -> TransientError:
    """Return an error that names the sessions that hold, or wait for, a lock that blocks readers."""
    session.run("ROLLBACK")
    sessions = session.run(
        f"SELECT c.oid::regclass::text, l.granted, l.pid, a.usename, a.application_name FROM {_LOCKED} "
        "AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid() ORDER BY l.granted DESC, l.pid LIMIT 3"
    )
    others = "; ".join(
        f"session {pid} (user {user!r}, application {application!r}) {'has locked' if granted else 'waits to lock'} "
        f"{table}"
        for table, granted, pid, user, application in sessions
    )
    return TransientError(
        f"Waited {seconds} s for a table's lock: {others or 'its holder has released it since'}.",
        "TRUNCATE, DROP, ALTER TABLE and the like keep all readers out as soon as they wait. "
        "Run this again when that session's transaction has ended.",
        LOCK_TIMEOUT,
    )


def not_granted(session: Session, table: TableName, *, to_readers: bool = False) -> TransientError:
    """Return an error that names the sessions that hold locks on a table, or on a partition of it.

    They hold the table, or rows of it, for which a writer has waited too long.

    Args:
        session: A session.
        table: The table.
        to_readers: Whether locks for reading are in the way, too.
    """
    modes = "" if to_readers else "AND l.mode <> 'AccessShareLock' "
    sessions = session.run(
        "SELECT DISTINCT l.pid, a.usename, a.application_name, a.state, date_trunc('second', a.xact_start)::text "
        f"FROM {_LOCKED} {modes}AND l.granted AND l.pid <> pg_backend_pid() AND c.oid IN "
        "(SELECT to_regclass(%s) UNION SELECT relid FROM pg_partition_tree(to_regclass(%s))) ORDER BY 5, 1 LIMIT 3",
        table.quoted,
        table.quoted,
    )
    others = "; ".join(
        f"session {pid} (user {user!r}, application {application!r}, {state or 'state unknown'}, in a transaction "
        f"since {since or 'an unknown time'})"
        for pid, user, application, state, since in sessions
    )
    return TransientError(
        f"A lock on {table} or its rows was not granted in time. "
        f"{f'It is held by {others}' if others else 'Its holder has released it since'}.",
        "Nothing was loaded. Run the load again when that transaction has ended, or end it: "
        "SELECT pg_terminate_backend(session).",
        LOCK_TIMEOUT,
    )
