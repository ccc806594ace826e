"""Waits for a lock on the captured table in many short attempts, so that no writer fails or waits long because of it.

Who waits for a lock makes others wait behind it, and may be part of a deadlock, in which the server ends whichever
transaction notices it first. This one gives up before a deadlock is looked for, and releases all of its locks.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import LOCK_TIMEOUT

LONGEST_WAIT = 600.0
"""Seconds to wait for a lock in all: a reload of the table may have to finish first."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
"""Seconds between attempts. They double."""

TOLD_AFTER = 5.0
"""Seconds after which the log says that a lock is awaited."""

logger = logging.getLogger(__name__)


def short_timeout(session: Session) -> str:
    """Return a lock_timeout at which no deadlock has been looked for yet."""
    milliseconds = session.value("SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout'")
    return f"{max(milliseconds // 2, 1)}ms"


def until_locked(
    attempt: Callable[[], None],
    table: TableName,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Repeat an attempt while it fails for a lock that was not granted.

    Args:
        attempt: Locks the table, with `short_timeout`; it releases what it has locked when it fails.
        table: For messages.
        sleep: For tests.
        now: For tests.

    Raises:
        TransientError: The lock was not granted in time. The message says how to find who holds it.
    """
    start, pause, told = now(), FIRST_PAUSE, False
    while True:
        try:
            attempt()
        except TransientError as error:
            if error.sqlstate != LOCK_TIMEOUT:
                raise
        else:
            return
        waited = now() - start
        if waited >= LONGEST_WAIT:
            raise _not_granted(table, waited)
        if waited >= TOLD_AFTER and not told:
            logger.warning("Waiting for a lock on %s, which other transactions hold.", table)
            told = True
        sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def _not_granted(table: TableName, waited: float) -> TransientError:
    return TransientError(
        f"A lock on {table} was not granted within {waited:.0f} s: other transactions that use it did not end.",
        "Run this again when they have. They are: SELECT pid, mode FROM pg_locks WHERE granted AND relation = "
        f"'{table.quoted}'::regclass.",
        LOCK_TIMEOUT,
    )
