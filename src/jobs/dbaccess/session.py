"""One open connection: statements, transactions and COPY, with every error in the project's own words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
"""A role or database may have other defaults. What waits for a lock must then see what its holder committed."""

_PIN = "SET search_path = pg_catalog, pg_temp"
"""Temporary tables come last: without being named, they would come first."""


@dataclass(frozen=True)
class ResultColumn:
    """A column of a query's result: its type by pg_type's oid, and that type's modifier (-1 for none)."""

    name: str
    type_oid: int
    modifier: int


@dataclass(frozen=True)
class Backend:
    """The server's process of a session.

    Attributes:
        pid: its id, which the server gives to another one some day, or at once after a crash.
        started: when, in seconds since 1970, as text.
        label: its application_name: a pooler hands the process of a session that has ended to others.
        pooled: whether a pooler stands between: it told another id of the process than the server.
    """

    pid: int
    started: str
    label: str
    pooled: bool = False


class Session:
    """A connection in autocommit mode; `transaction()` makes a transaction of what it encloses.

    It is used by one thread at a time. As a context manager it closes the connection at the end.

    Attributes:
        server: the one that it reached, by its address: a name may lead to several.
        backend: the server's process.
        closed: whether it is of no use any more. One that broke is found out by the next statement.
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
        """Run one statement and return its rows (none for a statement that returns none).

        Args:
            statement: SQL with a %s for each value.
            values: bound by the server, never put into the text.

        Raises:
            DatabaseError: as the server or the wire has it.
        """
        cursor = self._execute(statement, values)
        return [list(row) for row in cursor.fetchall()] if cursor.description else []

    def change(self, statement: str, *values: object) -> int:
        """Run one statement that changes rows, and return how many it changed.

        Outside of `transaction()` it is a transaction of its own.
        """
        if not self._in_transaction:
            with self.transaction():
                return self.change(statement, *values)
        return int(self._execute(statement, values).rowcount)

    def _execute(self, statement: str, values: tuple[object, ...]) -> dbapi.Cursor:
        """Run a statement. What cannot be sent is refused before, for the driver would stop in the middle of sending.

        Raises:
            UsageError: a text holds what PostgreSQL's do not.
            DatabaseError: as the server or the wire has it.
        """
        check_texts((statement, *values))
        with self._conversation():
            cursor = self._connection.cursor()
            cursor.execute(statement, values)
            return cursor

    @contextmanager
    def transaction(self, **server_settings: str) -> Iterator[None]:
        """Commit at the end of the block; roll back, and raise on, when it raises.

        Args:
            server_settings: what the block depends on, for this transaction alone: names and values that are ours.
        """
        stated = [f"SET LOCAL {name} = '{value}'" for name, value in server_settings.items()]
        self._in_transaction = True
        try:
            self.run("; ".join([_BEGIN, *stated]))
            self._check_state(b"T")
            yield
        except BaseException:
            with suppress(JobError):  # the block's own error tells more than a broken connection here
                self.run("ROLLBACK")
            raise
        finally:
            self._in_transaction = False
        self.run("COMMIT")
        self._check_state(b"I", b"COMMIT")

    def _check_state(self, state: bytes, tag: bytes | None = None) -> None:
        """See that the last statement has begun or ended a transaction. COMMIT of one that failed rolls it back.

        Raises:
            ProtocolBroken: it has not.
        """
        file = self._sock.drivers_file
        if file.state != state or file.tag != (file.tag if tag is None else tag):
            self.close()
            raise broken_protocol("it did not begin or end a transaction when it was told to")

    def pin(self) -> None:
        """Resolve names in pg_catalog alone from now on, but for what runs in `users_path`.

        Functions, operators and types that a statement does not qualify are found by search_path, and of several the
        best match wins, wherever it is. Who may create some in a schema of that path could have them run as this user.
        """
        self.run(_PIN)
        self._pinned = True

    @contextmanager
    def users_path(self) -> Iterator[None]:
        """Resolve names in the block as the user's sessions do, for code of theirs: triggers, checks, filters, queries.

        What is ours in a statement of the block is to be qualified, each function, operator and type.
        """
        if not self._pinned:
            yield
            return
        self.run("RESET search_path")
        self._pinned = False
        try:
            yield
        finally:
            with suppress(JobError):  # a transaction that has failed forgets the path, too, when it is rolled back
                self.run(_PIN)
            self._pinned = True

    def query(self, statement: str) -> list[list[Any]]:
        """Run a query that is in part the user's, on their path; nothing is bound."""
        with self.users_path():
            return self.run(statement)

    def copy_in(self, statement: str, blocks: Iterable[Block]) -> int:
        """Send blocks to `COPY ... FROM STDIN` and return the rows that the server counted.

        When the blocks' own source raises, the server undoes the COPY, and the session goes on.

        Raises:
            DatabaseError: as soon as the server has refused a row; the blocks are then not read on.
        """
        check_texts([statement])
        copying = CopyIn(self._sock)
        try:
            return copying.run(statement, blocks)
        except ProtocolBroken:
            self.close()
            raise
        finally:
            if not copying.ready:
                self.close()

    def copy_out(self, statement: str) -> Iterator[bytes]:
        """The rows of `COPY ... TO STDOUT` in text format, in blocks of whole lines.

        When the blocks are not read to their end, the connection is closed, for the rest would still come.

        Raises:
            DatabaseError: the statement failed, maybe after some rows.
        """
        check_texts([statement])
        done = False
        try:
            with self.users_path(), self._conversation():
                yield from copy_out.rows(self._sock.file, statement)
                done = True
        except ConnectionFailed:
            raise
        except DatabaseError:
            done = True  # the server has said why, and is ready for the next statement
            raise
        finally:
            if not done:
                self.close()

    def describe(self, statement: str) -> list[ResultColumn]:
        """The columns that a query of the user's returns. It is asked for no row, and locks what reading it would."""
        check_texts([statement])
        with self.users_path(), self._conversation():
            context = self._connection.execute_unnamed(f"{statement} LIMIT 0")
            return [ResultColumn(c["name"], c["type_oid"], c["type_modifier"]) for c in context.columns]

    def close(self) -> None:
        """Close the connection; one that is closed already stays so."""
        self.closed = True
        # The driver leaves its file open, and that the socket: a server that still sends rows would never notice.
        for close in (self._connection.close, self._sock.file.close):
            with suppress(DriverError, OSError):  # a connection that broke is closed as it is
                close()

    @contextmanager
    def _conversation(self) -> Iterator[None]:
        """Translate the driver's errors. What interrupts (Ctrl-C) ends the session: half an answer is still to come."""
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
