"""Poolers between us and the server: in session mode they may stay, in transaction mode they are refused.

In transaction mode a session's statements go to whichever process of the server is free. Locks, settings and
prepared statements of a session then belong to everybody, and nothing that a load or an extract promises holds.
https://www.pgbouncer.org/features.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import ConnectionFailed, UsageError
from jobs.dbaccess.session import Session

ROUNDS = 3
"""How often two sessions are asked in turn. Another client's statement in between may hide the pooler's mode once."""

_known: set[tuple[Server, str]] = set()
"""Servers and databases that this process has found to be behind a pooler in session mode."""

logger = logging.getLogger(__name__)


def check(session: Session, connect: Callable[[], Session]) -> None:
    """Refuse a pooler that does not give a session a process of its own.

    Two sessions that are open at once show it: in transaction mode each statement goes to the process that became
    free last, so that both are served by the same one.

    Args:
        session: behind a pooler.
        connect: opens another one.

    Raises:
        UsageError: says what to connect to instead.
    """
    [[database]] = session.run("SELECT pg_catalog.current_database()")
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
        # In transaction mode a process is free, for the first session does nothing: this pool has sessions' own.
        logger.warning("%s That was a second connection, to learn the pooler's mode.", error.message)
        return
    if len(mine) > 1 or len(others) > 1 or mine & others:
        raise UsageError(
            f"{session.server} is a connection pooler in transaction mode, which deals a session's statements out to "
            "several processes of the server: locks and snapshots do not hold there.",
            "Connect to the server itself, or to a pool in session mode (PgBouncer: pool_mode = session).",
        )
    _known.add(place)


def _process(session: Session) -> int:
    [[pid]] = session.run("SELECT pg_catalog.pg_backend_pid()")
    return int(pid)
