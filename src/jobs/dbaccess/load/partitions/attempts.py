"""Locks for which readers wait: an attempt takes all of them at once, or releases them, so that readers go on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import DEADLOCK, LOCK_TIMEOUT

logger = logging.getLogger(__name__)

LOCK_WAIT = 0.5
"""How long an attempt waits for all of its locks, in seconds. Readers queue behind it for as long. It is less than the
server's deadlock_timeout, so that a reader who has locked a partition and now wants the table is not the one that the
server ends."""

PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds between the first two attempts, in which readers go on. The pause doubles, up to the second value."""

PATIENCE = 600
"""How long to try without --lock-timeout, in seconds."""

_IN_THE_WAY = (LOCK_TIMEOUT, DEADLOCK)
"""The SQLSTATEs of a lock that was not granted in time, and of a deadlock."""


@contextmanager
def changes_kept_out(session: Session, tables: Sequence[TableName], patience: float | None) -> Iterator[float]:
    """Keep VACUUM, ANALYZE and changes of definitions out of tables until the transaction ends; wait for them first.

    Neither readers nor writers wait for this lock. The server ends an autovacuum for it.

    Args:
        session: A session in a transaction.
        tables: The tables.
        patience: How long to wait in this block, in seconds, or None for the default.

    Yields:
        When the patience ends, by `time.monotonic`. The block may set `lock_timeout`, which is restored.
    """
    patience = PATIENCE if patience is None else patience
    until = time.monotonic() + patience
    with local_settings(session, {"lock_timeout": f"{int(patience * 1000)}"}):
        session.run(keeping_changes_out(tables))
        yield until


def keeping_changes_out(tables: Sequence[TableName]) -> str:
    """Return the statement that keeps changes out."""
    names = ", ".join(f"ONLY {table.quoted}" for table in tables)
    return f"LOCK TABLE {names} IN {table_locks.SHARE_UPDATE_EXCLUSIVE} MODE"


def repeat(
    session: Session,
    target: TableName,
    locked: Sequence[TableName],
    act: Callable[[], None],
    until: float,
    *,
    what: str = "partitions",
) -> None:
    """Lock tables exclusively, and act. If a lock is not granted at once, try again.

    Args:
        session: A session in a transaction.
        target: The table, as messages name it.
        locked: The tables, in the order of their readers.
        act: What to do while they are locked. It is rolled back, and called again, if a lock is in the way.
        until: When the last attempt begins, by `time.monotonic`.
        what: What of the table is changed, as messages say it.

    Raises:
        TransientError: The locks were not granted in time.
    """
    pause = PAUSE
    while not _attempt(session, locked, act, is_last=time.monotonic() >= until):
        logger.info("%s is in use. Its %s are changed when no other transaction uses it. Trying again.", target, what)
        time.sleep(max(min(pause, until - time.monotonic()), 0))
        pause = min(2 * pause, LONGEST_PAUSE)


def _attempt(session: Session, locked: Sequence[TableName], act: Callable[[], None], *, is_last: bool) -> bool:
    """Lock the tables, and act. Return False, with nothing locked, if a lock was not granted."""
    session.run("SAVEPOINT pgjobs_attempt")
    try:
        _lock(session, locked)
        act()
    except TransientError as error:
        if error.sqlstate not in _IN_THE_WAY or session.closed or is_last:
            raise
        session.run("ROLLBACK TO SAVEPOINT pgjobs_attempt; RELEASE SAVEPOINT pgjobs_attempt")
        return False
    session.run("RELEASE SAVEPOINT pgjobs_attempt")
    return True


def _lock(session: Session, locked: Sequence[TableName]) -> None:
    deadline = time.monotonic() + LOCK_WAIT
    for table in locked:
        left = max(int((deadline - time.monotonic()) * 1000), 1)
        session.run(
            f"SET LOCAL lock_timeout = {left}; LOCK TABLE ONLY {table.quoted} IN {table_locks.ACCESS_EXCLUSIVE} MODE"
        )
