"""Detection of connection poolers: session mode is accepted, transaction mode is refused.

In transaction mode, each statement of a session goes to whichever server process is free. Locks, settings and prepared
statements of a session then affect everybody, and no promise of a load or an extract holds.
https://www.pgbouncer.org/features.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import ConnectionFailed, UsageError
from jobs.dbaccess.session import Session

ROUNDS = 3
"""How often two sessions ask in turn. A statement of another client in between may hide the pooler's mode once."""

_known: set[tuple[Server, str]] = set()
"""Servers and databases that this process has found to be behind a pooler in session mode."""

logger = logging.getLogger(__name__)


class TransactionPooling(UsageError):
    """A pooler distributes the statements of a session among several processes of the server."""


def check(session: Session, connect: Callable[[], Session]) -> None:
    """Refuse a pooler that does not reserve a server process for each session.

    Two sessions that are open at the same time show it: in transaction mode, each statement goes to the process that
    became free last, so the same process serves both.

    Args:
        session: A session behind a pooler.
        connect: Opens another session.

    Raises:
        TransactionPooling: The message says what to connect to instead.
    """
    database = session.value("SELECT pg_catalog.current_database()")
    place = (session.server, str(database))
    if place in _known:
        return
    try:
        with connect() as other:
            mine, others = {session.backend.pid}, {other.backend.pid}
            for _ in range(ROUNDS):
                mine.add(_process(session))
                others.add(_process(other))
    except ConnectionFailed as error:
        # In transaction mode a process would be free, since the first session is idle: this pool reserves processes.
        logger.warning("%s This was a second connection, opened to detect the pooler's mode.", error.message)
        return
    if len(mine) > 1 or len(others) > 1 or mine & others:
        raise TransactionPooling(
            f"{session.server} is a connection pooler in transaction mode, which distributes a session's statements "
            "among several server processes: locks and snapshots do not last there.",
            "Connect to the server itself, or to a pool in session mode (PgBouncer: pool_mode = session).",
        )
    _known.add(place)


def _process(session: Session) -> int:
    pid = session.value("SELECT pg_catalog.pg_backend_pid()")
    return int(pid)
