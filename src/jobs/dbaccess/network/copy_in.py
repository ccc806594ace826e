"""Sends rows to `COPY ... FROM STDIN`, and reads what the server sends meanwhile.

pg8000 does not read before the last row is sent. A server that raises NOTICEs would wait until they are read, while the
client waits until the server accepts more rows; and an error in the first row would be reported after the last.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
"""

from __future__ import annotations

import select
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Union

from jobs.dbaccess.errors import (
    ConnectionFailed,
    DatabaseError,
    JobError,
    ProtocolBroken,
    broken_protocol,
    driver_errors_translated,
    from_server,
)
from jobs.dbaccess.network.bodies import rows_copied
from jobs.dbaccess.network.messages import (
    COMPLETE,
    COPY_DATA,
    COPY_DONE,
    COPY_FAIL,
    COPY_IN,
    ERROR,
    QUERY,
    READY,
    Reader,
    error_fields,
    message,
)
from jobs.dbaccess.network.sockets import WireSocket

Block = Union[bytes, bytearray, memoryview]
"""A piece of a COPY stream, of any size, cut anywhere."""

LARGEST = 1 << 20
"""The maximum bytes of a message: the server buffers a whole message, and larger ones are not faster."""

MOST_ERRORS = 2
"""The answer to a statement that failed and ended the session."""


class CopyIn:
    """One COPY into a table, over a socket that is non-blocking meanwhile.

    Args:
        sock: The socket of a connection that is ready for a statement.

    Attributes:
        ready: Whether the connection is ready for a statement again.
    """

    def __init__(self, sock: WireSocket) -> None:
        self.ready = False
        self._sock = sock
        self._reader = Reader(sock.file)
        self._events = select.poll()
        self._events.register(sock, 0)
        self._before = 0
        self._takes_rows = False
        self._failure: DatabaseError | None = None
        self._errors = 0
        self._sent_all = False
        self._rows: int | None = None

    def run(self, statement: str, blocks: Iterable[Block], before: int = 0) -> int:
        """Send all blocks, and return the number of rows that the server reports.

        Args:
            statement: The COPY, possibly after other statements that return no rows.
            blocks: The rows.
            before: The number of these other statements.

        After the server has rejected a row, no more blocks are read. If their source raises, the server rolls the COPY
        back, and the connection remains usable.

        Raises:
            DatabaseError: The server's own reason, as soon as it is received.
            ConnectionFailed: The connection broke.
            ProtocolBroken: The server ended the COPY before it had all rows.
            Exception: An exception of the source.
        """
        self._before = before
        self._sock.setblocking(False)
        try:
            self._send(message(QUERY, statement.encode() + b"\0"))
            self._wait_until(lambda: self._takes_rows)
            self._send_all(blocks)
        finally:
            self._sock.setblocking(True)
        if self._failure is not None:
            raise self._failure
        if self._rows is None:
            raise broken_protocol("a COPY ended, and it reported neither an error nor the number of rows")
        return self._rows

    def _send_all(self, blocks: Iterable[Block]) -> None:
        source = iter(blocks)
        while not (self._failure or self.ready):
            try:
                block = next(source, None)
            except Exception:
                self._send(message(COPY_FAIL, b"the source of the rows failed\0"))
                self._wait_until(lambda: False)
                raise
            if block is None:
                self._sent_all = True
                self._send(message(COPY_DONE))
                break
            view = memoryview(block)
            for start in range(0, len(view), LARGEST):
                self._send(message(COPY_DATA, view[start : start + LARGEST]))
        self._wait_until(lambda: False)

    def _send(self, data: bytes) -> None:
        """Send a whole message, and read whatever arrives meanwhile."""
        unsent = memoryview(data)
        with self._reason_preferred():
            self._hear()
            while unsent:  # also a message that the server ignores: it still reads to its end
                try:
                    unsent = unsent[self._sock.send(unsent) :]
                except ssl.SSLWantReadError:
                    self._wait(select.POLLIN)
                except (BlockingIOError, ssl.SSLWantWriteError):
                    self._wait(select.POLLIN | select.POLLOUT)

    def _wait_until(self, done: Callable[[], bool]) -> None:
        """Read until something has arrived, or the server is ready for the next statement."""
        with self._reason_preferred():
            self._hear()
            while not (self.ready or done()):
                self._wait(select.POLLIN)

    def _wait(self, events: int) -> None:
        self._events.modify(self._sock, events)
        self._events.poll()
        self._hear()

    def _hear(self) -> None:
        """Read all messages that have arrived."""
        while (received := self._reader.next()) is not None:
            kind, body = received
            if kind == COPY_IN and not (self._takes_rows or self._before):
                self._takes_rows = True
            elif kind == ERROR and self._errors < MOST_ERRORS:
                self._errors += 1
                self._failure = from_server(error_fields(body))
            elif kind == COMPLETE and self._before and not self._takes_rows:
                self._before -= 1
            elif kind == COMPLETE and self._sent_all:
                self._rows = rows_copied(body)
            elif kind == READY:
                self.ready = True
                return
            else:
                raise broken_protocol(f"a message of the kind {kind!r} came while rows were sent to it")

    @contextmanager
    def _reason_preferred(self) -> Iterator[None]:
        """Raise the server's last error before it closed the connection, or else how the connection broke."""
        try:
            with driver_errors_translated():
                yield
        except ProtocolBroken:
            raise
        except ConnectionFailed as error:
            with suppress(JobError, OSError):
                self._hear()
            raise self._failure or error from None
