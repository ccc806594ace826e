"""A session: statements, transactions and COPY, with names looked up on our search_path or on the user's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.network.conversation import Answer, Conversation, ResultColumn
from jobs.dbaccess.network.copy_in import Block

__all__ = ["Answer", "Backend", "ResultColumn", "Session"]

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"
"""Overrides defaults of a role or database. After waiting for a lock, a statement must see the holder's commits."""

_PIN = "SET search_path = pg_catalog, pg_temp"
"""Temporary tables come last. If they are not named, they come first."""


@dataclass(frozen=True)
class Backend:
    """The server process of a session.

    Attributes:
        pid: Its id, which the server reuses some day, or at once after a crash.
        started: Its start time, in seconds since 1970, as text.
        label: Its application_name: a pooler gives the process of a session that has ended to others.
        pooled: Whether a pooler is in between, since the login reported another process id than the server.
    """

    pid: int
    started: str
    label: str
    pooled: bool = False


class Session:
    """A connection in autocommit mode. `transaction()` makes a transaction of its block.

    It is used by one thread at a time. As a context manager, it closes the connection at the end.

    Attributes:
        server: The server that it reached, by its address: a name may resolve to several.
        backend: The server process.
    """

    def __init__(self, conversation: Conversation, server: Server, backend: Backend) -> None:
        self._conversation = conversation
        self.server = server
        self.backend = backend
        self._in_transaction = False
        self._pinned = False

    @property
    def closed(self) -> bool:
        """Whether the session can no longer be used. The next statement detects a broken connection."""
        return self._conversation.closed

    def run(self, statement: str, *values: object) -> list[list[Any]]:
        """Run one statement and return its rows (empty for a statement that returns none).

        Args:
            statement: SQL with a %s for each value.
            values: Bound by the server, never inserted into the text.

        Raises:
            DatabaseError: The error of the server or the connection.
        """
        return self._conversation.run(statement, values)

    def row(self, columns: int, statement: str, *values: object) -> list[Any]:
        """Run a statement of our own that returns one row, whatever the database holds, and return that row.

        Args:
            columns: The number of its values.
            statement: As for `run`.
            values: As for `run`.

        Raises:
            ProtocolBroken: The server returns something else.
            DatabaseError: The error of the server or the connection.
        """
        rows = self.run(statement, *values)
        if [len(row) for row in rows] != [columns]:
            raise self._conversation.broken(f"it did not answer with one row of {columns} values, as its SQL has to")
        return rows[0]

    def value(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - of whichever type the statement has
        """Run a statement of our own that returns one row of one value, and return that value. Raises as `row`."""
        [value] = self.row(1, statement, *values)
        return value

    def change(self, statement: str, *values: object) -> int:
        """Run one statement that changes rows, and return how many it changed.

        Outside of `transaction()`, it is a transaction of its own.
        """
        with self.in_transaction():
            return self._conversation.change(statement, values)

    @contextmanager
    def transaction(self, **server_settings: str) -> Iterator[None]:
        """Commit at the end of the block. If the block raises, roll back and re-raise.

        Args:
            server_settings: Settings that the block depends on, for this transaction only. Names and values are our
                own.
        """
        stated = [f"SET LOCAL {name} = '{value}'" for name, value in server_settings.items()]
        self._in_transaction = True
        try:
            self.run("; ".join([_BEGIN, *stated]))
            self._conversation.check_state(b"T")
            yield
        except BaseException:
            with suppress(JobError):  # the block's own error is more informative than a broken connection here
                self.run("ROLLBACK")
            raise
        finally:
            self._in_transaction = False
        self.run("COMMIT")
        self._conversation.check_state(b"I", b"COMMIT")

    @contextmanager
    def in_transaction(self, **server_settings: str) -> Iterator[None]:
        """Make the block part of the transaction that is open, or else a transaction of its own.

        Args:
            server_settings: As for `transaction`. In an open transaction, they apply until it ends.
        """
        if not self._in_transaction:
            with self.transaction(**server_settings):
                yield
            return
        for name, value in server_settings.items():
            self.run(f"SET LOCAL {name} = '{value}'")
        yield

    def pin(self) -> None:
        """From now on, look up names only in pg_catalog, except within `users_path`.

        Functions, operators and types that a statement does not qualify are looked up in search_path, and the best
        match wins, in whichever schema it is. Somebody who may create objects in a schema of that path could have them
        run as this user.
        """
        self.run(_PIN)
        self._pinned = True

    @contextmanager
    def users_path(self) -> Iterator[None]:
        """Within the block, look up names as the user's own sessions do, for triggers, checks, filters and queries.

        Our own part of a statement in the block must qualify each function, operator and type.
        """
        if not self._pinned:
            yield
            return
        self.run("RESET search_path")
        self._pinned = False
        try:
            yield
        finally:
            with suppress(JobError):  # rolling back a failed transaction resets the path, too
                self.run(_PIN)
            self._pinned = True

    def end_deferral(self) -> None:
        """Check deferred constraints and run deferred triggers now, on the user's path. COMMIT would, but on ours."""
        with self.users_path():
            self.run("SET CONSTRAINTS ALL IMMEDIATE")

    def query(self, statement: str) -> list[list[Any]]:
        """Run a query that is partly the user's, on the user's path. No values are bound."""
        with self.users_path():
            return self.run(statement)

    def ask(self, statement: str, values: Sequence[object] = ()) -> Answer:
        """Run one statement of a user's own, in which the values are $1, $2 and so on.

        Raises:
            UsageError: A text contains what PostgreSQL's text cannot.
            DatabaseError: The error of the server or the connection.
        """
        return self._conversation.ask(statement, values)

    def result_columns(self, statement: str) -> list[ResultColumn]:
        """Return the columns of the rows that a user's statement returns; empty if it returns none. It is not executed.

        Values are $1, $2 and so on, as for `ask`.
        """
        return self._conversation.prepared_columns(statement)

    def copy_in(self, statement: str, blocks: Iterable[Block], before: Sequence[str] = ()) -> int:
        """Send blocks to `COPY ... FROM STDIN`, and return the number of rows that the server reports.

        If the source of the blocks raises, the server rolls the COPY back, and the session remains usable.

        Args:
            statement: The COPY.
            blocks: The rows.
            before: Statements of our own, without rows as a result, that are run before it, in the same message.

        Raises:
            DatabaseError: As soon as the server has rejected a row. The remaining blocks are not read.
        """
        return self._conversation.copy_in(statement, blocks, before)

    def copy_out(self, statement: str) -> Iterator[bytes]:
        """Yield the rows of `COPY ... TO STDOUT` in text format, in blocks of whole lines.

        If the blocks are not read to the end, the connection is closed, because the rest would still arrive.

        Raises:
            DatabaseError: The statement failed, possibly after some rows.
        """
        with self.users_path():
            yield from self._conversation.copy_out(statement)

    def describe(self, statement: str) -> list[ResultColumn]:
        """Return the columns of a user's query. No rows are fetched, and the locks are those of reading them."""
        with self.users_path():
            return self._conversation.columns(f"{statement} LIMIT 0")

    def wait(self, seconds: float) -> None:
        """Wait until the server sends something of its own accord, such as a notification, or for so long."""
        self._conversation.wait(seconds)

    @contextmanager
    def answers_within(self, seconds: float) -> Iterator[None]:
        """Limit how long the statements of the block may take, together, even if the server's process hangs.

        Otherwise a statement has no limit, because a COPY or a publish may take hours.

        Raises:
            ConnectionFailed: The server has not answered in time. The session is closed.
        """
        with self._conversation.answers_within(seconds):
            yield

    def close(self) -> None:
        """Close the connection. Closing it again has no effect."""
        self._conversation.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
