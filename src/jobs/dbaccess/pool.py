"""A pool of sessions for jobs with many short statements: SQLAlchemy's QueuePool over our own door.

A load needs none: each of its tasks holds one connection for its whole life. SQLAlchemy is not in the archive unless
asked for (`pip install pgjobs[pool]`).
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
    """At most `size` sessions, opened when they are first wanted and each checked before it is lent again.

    Args:
        settings: where, as whom and how.
        application_name: what `pg_stat_activity` shows of them.
        size: the most connections at once.
        patience: seconds to wait for a session while all are lent.
    """

    def __init__(self, settings: Settings, application_name: str, size: int, patience: float = 30.0) -> None:
        self._pool = QueuePool(
            lambda: connect(settings, application_name),  # type: ignore[arg-type] # it only calls close()
            pool_size=size,
            max_overflow=0,
            timeout=patience,
            reset_on_return=None,  # a Session is in autocommit mode, and a transaction of its ends with its block
            use_lifo=True,  # so that sessions which are not needed fall idle
        )
        event.listen(self._pool, "checkout", _check)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Lend a session for the block; one that broke there is not lent again.

        Raises:
            TransientError: all are lent, and none came back in time.
            DatabaseError: no server can be reached.
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


def _check(session: Any, *_: object) -> None:  # noqa: ANN401 - SQLAlchemy's word for our Session
    """Let the pool replace a session that broke while it was idle."""
    try:
        session.run("SELECT 1")
    except DatabaseError:
        raise DisconnectionError from None
