"""A conversation with the server: statements by pg8000, and COPY without it. All errors are those of this project.

Text that cannot be sent is refused first: pg8000 would stop in the middle of sending. If a part of an answer may yet
arrive, the connection is closed, since it would be taken for the next answer.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pg8000.exceptions import Error as DriverError

from jobs.dbaccess.errors import (
    ConnectionFailed,
    DatabaseError,
    ProtocolBroken,
    broken_protocol,
    driver_errors_translated,
)
from jobs.dbaccess.network import copy_out
from jobs.dbaccess.network.copy_in import Block, CopyIn
from jobs.dbaccess.network.driver import Connection, Cursor
from jobs.dbaccess.network.sockets import WireSocket, settle
from jobs.dbaccess.sql import check_texts

_HANGS = "Look whether the server is overloaded, or whether its storage hangs."


@dataclass(frozen=True)
class ResultColumn:
    """A column of a query's result: its type by pg_type's oid, and its type modifier (-1 for none)."""

    name: str
    type_oid: int
    modifier: int


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


class Conversation:
    """A connection in autocommit mode, on which the server answers one request after the other.

    Each method but `wait` and `close` raises a UsageError if a text contains what PostgreSQL's text cannot, and a
    DatabaseError for an error of the server or the connection.

    Args:
        connection: The driver's connection, logged in.
        sock: Its socket.

    Attributes:
        closed: Whether it has ended. The next request detects a broken connection.
    """

    def __init__(self, connection: Connection, sock: WireSocket) -> None:
        self._connection = connection
        self._sock = sock
        self._connection.autocommit = True
        self.closed = False

    def run(self, statement: str, values: Sequence[object] = ()) -> list[list[Any]]:
        """Run one statement, with a %s for each value, and return its rows (empty for one that returns none)."""
        cursor = self._execute(statement, values)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []

    def change(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run one statement, with a %s for each value, and return how many rows it changed."""
        return int(self._execute(statement, values).rowcount)

    def ask(self, statement: str, values: Sequence[object] = ()) -> Answer:
        """Run one statement, in which the values are $1, $2 and so on, and return all of the answer."""
        check_texts((statement, *values))
        with self._errors_translated():
            context = self._connection.execute_unnamed(statement, vals=tuple(values))
        columns = None if context.columns is None else tuple(column["name"] for column in context.columns)
        return Answer(columns, context.rows or [], None if context.row_count < 0 else context.row_count)

    def columns(self, query: str) -> list[ResultColumn]:
        """Run a query without values, and return the columns of its rows."""
        check_texts([query])
        with self._errors_translated():
            return _result_columns(self._connection.execute_unnamed(query).columns)

    def prepared_columns(self, statement: str) -> list[ResultColumn]:
        """Prepare a statement without running it, and return the columns of its rows; empty if it returns none."""
        check_texts([statement])
        with self._errors_translated():
            name, columns, _ = self._connection.prepare_statement(statement, ())
            self._connection.close_prepared_statement(name)
        return _result_columns(columns or ())

    def copy_in(self, statement: str, blocks: Iterable[Block], before: Sequence[str] = ()) -> int:
        """Send blocks to `COPY ... FROM STDIN`, after other statements in the same message. Return the number of rows.

        If the source of the blocks raises, the server rolls the COPY back, and the connection remains usable. After
        the server has rejected a row, the remaining blocks are not read.
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
        """
        check_texts([statement])
        is_complete = False
        try:
            with self._errors_translated():
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

    def check_state(self, state: bytes, tag: bytes | None = None) -> None:
        """Check that the last statement has begun or ended a transaction. COMMIT of a failed transaction rolls it back.

        Args:
            state: The state of the session that the server has to report: b"T" in a transaction, b"I" outside of one.
            tag: The command that it has to report as complete; None for any.

        Raises:
            ProtocolBroken: It has not.
        """
        file = self._sock.drivers_file
        if file.state != state or file.tag != (file.tag if tag is None else tag):
            raise self.broken("it did not begin or end a transaction as requested")

    def broken(self, how: str) -> ProtocolBroken:
        """Close the connection, and return the error of a server that does not do as the protocol or its SQL says."""
        self.close()
        return broken_protocol(how)

    def wait(self, seconds: float) -> None:
        """Wait until the server sends something of its own accord, such as a notification, or for so long."""
        arrivals = select.poll()
        arrivals.register(self._sock, select.POLLIN)
        arrivals.poll(seconds * 1000)

    @contextmanager
    def answers_within(self, seconds: float) -> Iterator[None]:
        """Fail with ConnectionFailed if the server has not answered all requests of the block in so many seconds."""
        self._sock.deadline = time.monotonic() + seconds
        try:
            yield
        except ConnectionFailed:
            if time.monotonic() < self._sock.deadline:
                raise
            raise ConnectionFailed(f"The server has not answered for {seconds:g} s.", _HANGS) from None
        finally:
            if not self.closed:
                settle(self._sock)

    def close(self) -> None:
        """Close the connection. Closing it again has no effect."""
        self.closed = True
        # The driver leaves its file open, and the file the socket: a server that still sends rows would not notice.
        for close in (self._connection.close, self._sock.file.close):
            with suppress(DriverError, OSError):  # a broken connection is just closed
                close()

    def _execute(self, statement: str, values: Sequence[object]) -> Cursor:
        check_texts((statement, *values))
        with self._errors_translated():
            cursor = self._connection.cursor()
            cursor.execute(statement, tuple(values))
            return cursor

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        """Translate the driver's errors. An interrupt (Ctrl-C) closes the connection: an answer is yet to arrive."""
        try:
            with driver_errors_translated():
                yield
        except BaseException as error:
            if isinstance(error, ConnectionFailed) or not isinstance(error, Exception):
                self.close()
            raise


def _result_columns(columns: Iterable[dict[str, Any]]) -> list[ResultColumn]:
    return [ResultColumn(column["name"], column["type_oid"], column["type_modifier"]) for column in columns]
