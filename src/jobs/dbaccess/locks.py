"""Advisory locks: all that pgjobs takes, and their names.

    lock             name                  what it protects                          held by            until the end of
    load             pgjobs load ID        a load id: one run at a time              driver or sidecar  the session
                     .. of MARKER_TABLE    likewise, if that is not table_updates
    staging          pgjobs_rows_TOKEN     staging tables in use from being dropped  driver or sidecar  the session
    publish          pgjobs publish TABLE  loads that update a table from deadlocks  driver             the transaction
    position         pgjobs position TABLE a table that follows a source: one load   driver             the session
    own_table        pgjobs TABLE          the creation of a table of pgjobs' own    driver             the transaction
    watermark        pgjobs watermark ID   a watermark: one run at a time            driver             the session
    capture target   pgjobs capture TARGET a capture's target: one job at a time     driver             the session
    capture reader   pgjobs reader ID      shows that a reader of a capture runs     driver             the session
    capture asleep   pgjobs capture asleep FUNCTION  shows writers that a reader waits; they try to share it
    snapshot desk    KEY, 0                a source: one desk at a time              sidecar            the session
    snapshot reader  KEY, NUMBER (shared)  a desk's snapshot from being released     planner or task    the session

A load's driver holds its id and its staging tables. pgcopy's planners end before its tasks do, so a sidecar process
holds them there. The load id of a stream's batch is not locked: it is known only when the batch is published, and then
the primary key of the ledger excludes others.

A name is hashed to one 64-bit key. The locks of a snapshot desk have two 32-bit keys, because the desk reads the
numbers of its readers in pg_locks. The server keeps the two kinds apart, and the locks of each database. All versions
so far use the same names, so that two versions exclude each other while an upgrade is rolled out.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal
from jobs.dbaccess.sqlstates import LOCK_TIMEOUT

LONGEST_WAIT = 600
"""Seconds to wait for a lock. The server takes up to two minutes (`Timeouts`) to notice that a machine vanished."""

_KEY = "hashtextextended(%s, 0)"

WAIT_IN_TRANSACTION = f"SELECT pg_advisory_xact_lock({_KEY})"
"""The statement that waits for a lock, whose name is its value, and takes it until the open transaction ends."""


@dataclass(frozen=True)
class Lock:
    """A lock by which the sessions of one database exclude each other.

    Attributes:
        name: Its name, as in the table above.
        subject: What it protects, in words, as the subject of a sentence.
    """

    name: str
    subject: str


def load(load_id: str, marker_table: TableName | None = None) -> Lock:
    """Return the lock of a load id.

    Args:
        load_id: The id.
        marker_table: The full name of the ledger's table, unless it has the default name.
    """
    ledger = "" if marker_table is None else f" of {marker_table}"
    return Lock(f"pgjobs load {load_id}{ledger}", f"The load id {load_id!r}")


def staging(rows: TableName) -> Lock:
    """Return the lock of a load's staging tables.

    Args:
        rows: The staging table that stores the rows.
    """
    return Lock(rows.name, f"The staging table {rows}")


def publish(target: TableName) -> Lock:
    """Return the lock of publishing into a table."""
    return Lock(f"pgjobs publish {target}", f"Publishing into {target}")


def position(target: TableName) -> Lock:
    """Return the lock of a table that follows a source by its changes."""
    return Lock(f"pgjobs position {target}", f"The position of {target}")


def own_table(name: str) -> Lock:
    """Return the lock of creating a table of pgjobs' own."""
    return Lock(f"pgjobs {name}", f"The creation of {name}")


def watermark(watermark_id: str) -> Lock:
    """Return the lock of a watermark."""
    return Lock(f"pgjobs watermark {watermark_id}", f"The watermark {watermark_id!r}")


def capture_target(target: TableName | str) -> Lock:
    """Return the lock of a capture's target: a table that is kept equal to the captured one, or a folder of files."""
    return Lock(f"pgjobs capture {target}", f"The target {target}")


def capture_reader(reader: str) -> Lock:
    """Return the lock of a reader of a capture."""
    return Lock(f"pgjobs reader {reader}", f"The reader {reader}")


def capture_asleep(function: TableName) -> Lock:
    """Return the lock by which writers see that a reader waits for a notification.

    Args:
        function: The capture's trigger function.
    """
    return Lock(f"pgjobs capture asleep {function}", "The wait for a notification")


def trying_to_share(lock: Lock) -> str:
    """Return an expression that tries to share a lock until the transaction ends: for the text of a function."""
    return f"pg_try_advisory_xact_lock_shared({_KEY % quote_literal(lock.name)})"


def take(session: Session, lock: Lock) -> bool:
    """Take a lock until the session ends, unless another session holds it. Return whether this session holds it."""
    is_held = session.value(f"SELECT pg_try_advisory_lock({_KEY})", lock.name)
    return bool(is_held)


def take_in_transaction(session: Session, lock: Lock) -> bool:
    """Take a lock until the open transaction ends, unless another session holds it. Return whether it was taken."""
    is_held = session.value(f"SELECT pg_try_advisory_xact_lock({_KEY})", lock.name)
    return bool(is_held)


def wait_in_transaction(session: Session, lock: Lock) -> None:
    """Wait until no other session holds a lock, and take it until the open transaction ends."""
    session.run(WAIT_IN_TRANSACTION, lock.name)


def wait(session: Session, lock: Lock, seconds: int = LONGEST_WAIT) -> None:
    """Wait until no other session holds a lock, and take it until the session ends.

    Args:
        session: A session without an open transaction.
        lock: The lock.
        seconds: The longest time to wait.

    Raises:
        TransientError: The lock was not released in time. The message names the holder.
    """
    if take(session, lock):
        return
    try:
        with session.transaction(lock_timeout=f"{max(seconds * 1000, 1)}ms", statement_timeout="0"):
            session.run(f"SELECT pg_advisory_lock({_KEY})", lock.name)
    except TransientError as error:
        if error.sqlstate != LOCK_TIMEOUT:
            raise
        raise TransientError(
            f"{lock.subject} is held by {holder(session, lock)}, which did not end within {seconds} s.",
            "Wait for its end, or end it: SELECT pg_terminate_backend(process).",
            LOCK_TIMEOUT,
        ) from None


def release(session: Session, lock: Lock) -> None:
    """Release a lock that the session holds."""
    session.run(f"SELECT pg_advisory_unlock({_KEY})", lock.name)


def holding_process(session: Session, lock: Lock) -> int | None:
    """Return the server process whose session holds a lock, or None."""
    rows = session.run(
        "SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
        f"AND {_THIS_DATABASE} AND (l.classid::bigint << 32 | l.objid::bigint) = {_KEY}",
        lock.name,
    )
    return int(rows[0][0]) if rows else None


def holder(session: Session, lock: Lock) -> str:
    """Return a description of the session that holds a lock."""
    holders = session.run(
        "SELECT l.pid, a.application_name, host(a.client_addr), date_trunc('second', a.backend_start)::text "
        "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        f"AND l.objsubid = 1 AND {_THIS_DATABASE} AND (l.classid::bigint << 32 | l.objid::bigint) = {_KEY}",
        lock.name,
    )
    if not holders:
        return "a session that has just ended"
    pid, label, address, since = holders[0]
    return (
        f"process {pid} of the server ({label or 'whose name this user may not see'}), "
        f"connected {f'from {address} ' if address else ''}since {since or 'an unknown time'}"
    )


_THIS_DATABASE = "l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"

_OF_DESK = (
    "pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted "
    f"AND {_THIS_DATABASE} AND l.classid = %s::bigint::oid"
)

DESK_PROCESS = f"SELECT l.pid FROM {_OF_DESK} AND l.objid = 0 AND l.mode = 'ExclusiveLock'"
"""A query for the server process that holds a desk's lock, if any does. Its parameter is the desk's key."""


def take_desk(session: Session, key: int) -> bool:
    """Take a snapshot desk's lock until the session ends, unless another session holds it. Return whether it did."""
    is_held = session.value("SELECT pg_try_advisory_lock(%s::int, 0)", key)
    return bool(is_held)


def read_at_desk(session: Session, key: int, number: int) -> None:
    """Take a reader's lock until the session ends. All readers of a number share it."""
    session.run("SELECT pg_advisory_lock_shared(%s::int, %s::int)", key, number)


def read_numbers(session: Session, key: int) -> list[int]:
    """Return the numbers of a desk whose locks readers hold, in ascending order."""
    numbers = session.run(f"SELECT DISTINCT l.objid::bigint FROM {_OF_DESK} AND l.objid <> 0 ORDER BY 1", key)
    return [number for [number] in numbers]
