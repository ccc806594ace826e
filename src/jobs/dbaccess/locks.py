"""Advisory locks by name: taken for a session, waited for within bounds, and told of: who holds one."""

from __future__ import annotations

from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.session import Session

PATIENCE = 600
"""Seconds to wait for a lock. The server notices a holder whose machine is gone after two minutes (`Patience`)."""

_LOCK_TIMEOUT = "55P03"

_KEY = "hashtextextended(%s, 0)"


def take(session: Session, name: str) -> bool:
    """Hold a lock until the session ends, unless another session holds it; whether it is held now."""
    [[held]] = session.run(f"SELECT pg_try_advisory_lock({_KEY})", name)
    return bool(held)


def wait(session: Session, name: str, what: str, seconds: int = PATIENCE) -> None:
    """Hold a lock until the session ends; wait for another session that holds it.

    Args:
        session: that is to hold it.
        name: of the lock.
        what: it stands for, in words.
        seconds: to wait at most.

    Raises:
        TransientError: it was not free in time; the message tells who holds it.
    """
    if take(session, name):
        return
    try:
        with session.transaction(lock_timeout=f"{max(seconds * 1000, 1)}ms", statement_timeout="0"):
            session.run(f"SELECT pg_advisory_lock({_KEY})", name)
    except TransientError as error:
        if error.sqlstate != _LOCK_TIMEOUT:
            raise
        raise TransientError(
            f"{what} is held by {holder(session, name)}, which did not end within {seconds} s.",
            "Wait for its end, or end it: SELECT pg_terminate_backend(process).",
            _LOCK_TIMEOUT,
        ) from None


def holder(session: Session, name: str) -> str:
    """Who holds a lock, in words."""
    found = session.run(
        "SELECT l.pid, a.application_name, host(a.client_addr), date_trunc('second', a.backend_start)::text "
        "FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid) WHERE l.locktype = 'advisory' AND l.granted "
        "AND l.objsubid = 1 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        f"AND (l.classid::bigint << 32 | l.objid::bigint) = {_KEY}",
        name,
    )
    if not found:
        return "a session that has just ended"
    pid, label, address, since = found[0]
    return (
        f"process {pid} of the server ({label or 'whose name this user may not see'}), "
        f"connected {f'from {address} ' if address else ''}since {since or 'an unknown time'}"
    )
