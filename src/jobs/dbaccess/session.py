"""An open connection: statements, transactions and COPY. All errors are those of this project."""

from __future__ import annotations

import select
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pg8000 import dbapi
from pg8000.exceptions import Error as DriverError

from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import (
    ConnectionFailed,
    DatabaseError,
    JobError,
    ProtocolBroken,
    broken_protocol,
    driver_errors_translated,
)
from jobs.dbaccess.network import copy_out
from jobs.dbaccess.network.copy_in import Block, CopyIn
from jobs.dbaccess.network.sockets import WireSocket
from jobs.dbaccess.sql import check_texts

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"
"""Overrides defaults of a role or database. After waiting for a lock, a statement must see the holder's commits."""

_PIN = "SET search_path = pg_catalog, pg_temp"
"""Temporary tables come last. If they are not named, they come first."""


@dataclass(frozen=True)
class ResultColumn:
    """A column of a query's result: its type by pg_type's oid, and its type modifier (-1 for none)."""

    name: str
    type_oid: int
    modifier: int


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


@dataclass(frozen=True)
class Answer:
    """The server's answer to a statement of a user's own.

    Attributes:
        columns: The names of the columns that it returns; None if it returns no rows.
        rows: Those that it returned.
        count: How many rows it returned or changed; None if it does neither.
    """

    columns: tuple[str, ...] | None
    rows: list[list[Any]]
    count: int | None


class Session:
    """A connection in autocommit mode. `transaction()` makes a transaction of its block.

    It is used by one thread at a time. As a context manager, it closes the connection at the end.

    Attributes:
        server: The server that it reached, by its address: a name may resolve to several.
        backend: The server process.
        closed: Whether it can no longer be used. The next statement detects a broken connection.
    """

    def __init__(self, connection: dbapi.Connection, sock: WireSocket, server: Server, backend: Backend) -> None:
        self._connection = connection
        self._sock = sock
        self.server = server
        self.backend = backend
        self._connection.autocommit = True
        self._in_transaction = False
        self.closed = False
        self._pinned = False

    def run(self, statement: str, *values: object) -> list[list[Any]]:
        """Run one statement and return its rows (empty for a statement that returns none).

        Args:
            statement: SQL with a %s for each value.
            values: Bound by the server, never inserted into the text.

        Raises:
            DatabaseError: The error of the server or the connection.
        """
        cursor = self._execute(statement, values)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []

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
            self.close()
            raise broken_protocol(f"it did not answer with one row of {columns} values, as its SQL has to")
        return rows[0]

    def value(self, statement: str, *values: object) -> Any:  # noqa: ANN401 - of whichever type the statement has
        """Run a statement of our own that returns one row of one value, and return that value. Raises as `row`."""
        [value] = self.row(1, statement, *values)
        return value

    def change(self, statement: str, *values: object) -> int:
        """Run one statement that changes rows, and return how many it changed.

        Outside of `transaction()`, it is a transaction of its own.
        """
        if not self._in_transaction:
            with self.transaction():
                return self.change(statement, *values)
        return int(self._execute(statement, values).rowcount)

    def _execute(self, statement: str, values: tuple[object, ...]) -> dbapi.Cursor:
        """Run a statement. Text that cannot be sent is refused first: the driver would stop in the middle of sending.

        Raises:
            UsageError: A text contains what PostgreSQL's text cannot.
            DatabaseError: The error of the server or the connection.
        """
        check_texts((statement, *values))
        with self._conversation():
            cursor = self._connection.cursor()
            cursor.execute(statement, values)
            return cursor

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
            self._check_state(b"T")
            yield
        except BaseException:
            with suppress(JobError):  # the block's own error is more informative than a broken connection here
                self.run("ROLLBACK")
            raise
        finally:
            self._in_transaction = False
        self.run("COMMIT")
        self._check_state(b"I", b"COMMIT")

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

    def _check_state(self, state: bytes, tag: bytes | None = None) -> None:
        """Check that the last statement has begun or ended a transaction. COMMIT of a failed transaction rolls it back.

        Raises:
            ProtocolBroken: It has not.
        """
        file = self._sock.drivers_file
        if file.state != state or file.tag != (file.tag if tag is None else tag):
            self.close()
            raise broken_protocol("it did not begin or end a transaction as requested")

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
        check_texts((statement, *values))
        with self._conversation():
            context = self._connection.execute_unnamed(statement, vals=tuple(values))
        columns = None if context.columns is None else tuple(column["name"] for column in context.columns)
        return Answer(columns, context.rows or [], None if context.row_count < 0 else context.row_count)

    def result_columns(self, statement: str) -> list[ResultColumn]:
        """Return the columns of the rows that a user's statement returns; empty if it returns none. It is not executed.

        Values are $1, $2 and so on, as for `ask`.
        """
        check_texts([statement])
        with self._conversation():
            name, columns, _ = self._connection.prepare_statement(statement, ())
            self._connection.close_prepared_statement(name)
        return [ResultColumn(c["name"], c["type_oid"], c["type_modifier"]) for c in columns or ()]

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
        check_texts([statement])
        copying = CopyIn(self._sock)
        try:
            return copying.run("; ".join([*before, statement]), blocks, len(before))
        except ProtocolBroken:
            self.close()
            raise
        finally:
            if not copying.ready:
                self.close()

    def copy_out(self, statement: str) -> Iterator[bytes]:
        """Yield the rows of `COPY ... TO STDOUT` in text format, in blocks of whole lines.

        If the blocks are not read to the end, the connection is closed, because the rest would still arrive.

        Raises:
            DatabaseError: The statement failed, possibly after some rows.
        """
        check_texts([statement])
        is_complete = False
        try:
            with self.users_path(), self._conversation():
                yield from copy_out.rows(self._sock.file, statement)
                is_complete = True
        except ConnectionFailed:
            raise
        except DatabaseError:
            is_complete = True  # the server has reported the reason, and is ready for the next statement
            raise
        finally:
            if not is_complete:
                self.close()

    def describe(self, statement: str) -> list[ResultColumn]:
        """Return the columns of a user's query. No rows are fetched, and the locks are those of reading them."""
        check_texts([statement])
        with self.users_path(), self._conversation():
            context = self._connection.execute_unnamed(f"{statement} LIMIT 0")
            return [ResultColumn(c["name"], c["type_oid"], c["type_modifier"]) for c in context.columns]

    def wait(self, seconds: float) -> None:
        """Wait until the server sends something of its own accord, such as a notification, or for so long."""
        arrivals = select.poll()
        arrivals.register(self._sock, select.POLLIN)
        arrivals.poll(seconds * 1000)

    def close(self) -> None:
        """Close the connection. Closing it again has no effect."""
        self.closed = True
        # The driver leaves its file open, and the file the socket: a server that still sends rows would not notice.
        for close in (self._connection.close, self._sock.file.close):
            with suppress(DriverError, OSError):  # a broken connection is just closed
                close()

    @contextmanager
    def _conversation(self) -> Iterator[None]:
        """Translate the driver's errors. An interrupt (Ctrl-C) ends the session: part of an answer is yet to arrive."""
        try:
            with driver_errors_translated():
                yield
        except BaseException as error:
            if isinstance(error, ConnectionFailed) or not isinstance(error, Exception):
                self.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
