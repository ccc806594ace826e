"""A pool of sessions for jobs with many short statements: SQLAlchemy's QueuePool of this package's sessions.

A load does not need one: each of its tasks holds one connection throughout. SQLAlchemy is not in the archive unless it
is requested (`pip install pgjobs-spark[pool]`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.pool import QueuePool

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, TransientError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


class SessionPool:
    """At most `size` sessions, which are opened on demand, and checked each time before they are lent.

    Args:
        settings: Where to connect, as whom, and how.
        application_name: The name shown in `pg_stat_activity`.
        size: The maximum number of connections.
        patience: Seconds to wait for a session while all are lent.
    """

    def __init__(self, settings: Settings, application_name: str, size: int, patience: float = 30.0) -> None:
        self._pool = QueuePool(
            lambda: connect(settings, application_name),  # type: ignore[arg-type] # it only calls close()
            pool_size=size,
            max_overflow=0,
            timeout=patience,
            reset_on_return=None,  # a Session is in autocommit mode, and each transaction ends with its block
            use_lifo=True,  # so that unneeded sessions become idle
        )
        event.listen(self._pool, "checkout", _check)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session for the block. If it broke there, it is not lent again.

        Raises:
            TransientError: All sessions are lent, and none was returned in time.
            DatabaseError: No server can be reached.
        """
        try:
            lent = self._pool.connect()
        except PoolTimeoutError:
            raise TransientError("All connections of the pool are in use.", "Make the pool larger.") from None
        session: Any = lent.dbapi_connection
        try:
            yield session
        except DatabaseError as error:
            if error.transient:
                lent.invalidate()
            raise
        finally:
            lent.close()

    def close(self) -> None:
        """Close all sessions that are not lent."""
        self._pool.dispose()


def _check(session: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's type for our Session
    """Have the pool replace a session that broke while it was idle."""
    try:
        session.run("SELECT 1")
    except DatabaseError:
        raise DisconnectionError from None
