"""Reads the rows of `COPY ... TO STDOUT` in blocks, with one step of a regular expression per row, in C code.

pg8000 calls Python code for the message of each row, which costs more than everything else that is done with the row.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedRWPair

from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, broken_protocol, from_server
from jobs.dbaccess.network.bodies import rows_copied
from jobs.dbaccess.network.copy_in import MOST_ERRORS
from jobs.dbaccess.network.messages import (
    COMPLETE,
    COPY_DATA,
    COPY_DONE,
    COPY_OUT,
    ERROR,
    HEADER,
    QUERY,
    READY,
    Reader,
    error_fields,
    message,
)

BLOCK = 1 << 21
"""The minimum bytes of a block, except the last one. A longer row is a block of its own."""

# In text format, each message is one row, and a row ends in the only newline that it contains. Anything else matches
# the second branch, as an empty row, so that the search does not continue within it.
_ROW = re.compile(rb"d(?s:....)([^\n]*\n)|(?s:.)+")


def rows(file: BufferedRWPair, statement: str) -> Iterator[bytes]:
    """Run a COPY to STDOUT in text format, and yield its rows in blocks of whole lines.

    Args:
        file: The file of a connection that is ready for a statement. It is ready again afterwards.
        statement: The statement, without bound values.

    Raises:
        DatabaseError: The server's own reason, possibly after some rows.
        ConnectionFailed: The connection broke.
        ProtocolBroken: The server reports another number of rows than it sent, or none.
    """
    file.write(message(QUERY, statement.encode() + b"\0"))
    file.flush()
    answer = _Answer(Reader(file))
    block: list[bytes] = []
    count = size = 0
    while not answer.ended:
        lines = _ROW.findall(file.peek(1)) if answer.has_begun else []
        if lines and not lines[-1]:
            lines.pop()
        if lines:
            joined = b"".join(lines)
            file.read(len(joined) + HEADER.size * len(lines))
        else:
            joined = answer.next_row()
        count += len(lines) or bool(joined)
        block.append(joined)
        size += len(joined)
        if size >= BLOCK:
            yield b"".join(block)
            block, size = [], 0
    answer.check(count)
    if size:
        yield b"".join(block)


class _Answer:
    """What the server sends about a COPY in addition to its rows.

    Attributes:
        has_begun: Whether rows may arrive.
        ended: Whether the server is ready for the next statement.
    """

    def __init__(self, reader: Reader) -> None:
        self.has_begun = self.ended = False
        self._reader = reader
        self._failure: DatabaseError | None = None
        self._received = b""
        self._reported: int | None = None

    def next_row(self) -> bytes:
        """Return the row in the next message; empty if it has none.

        Raises:
            ConnectionFailed: The server closed the connection without a reason.
            ProtocolBroken: The message is not valid at this point.
        """
        kind, body = self._next()
        if kind == COPY_DATA and self._received == COPY_OUT and body.find(b"\n") == len(body) - 1:
            return body
        self._received, before = self._received + kind, self._received
        if kind == ERROR and before.count(ERROR) < MOST_ERRORS:
            self._failure = from_server(error_fields(body))
        elif kind == COMPLETE and before == COPY_OUT + COPY_DONE:
            self._reported = rows_copied(body)
        elif not (kind == READY or (kind == COPY_OUT and not before) or (kind == COPY_DONE and before == COPY_OUT)):
            raise broken_protocol(f"a message of the kind {kind!r} came while rows were read of it")
        self.has_begun = self._received == COPY_OUT
        self.ended = kind == READY
        return b""

    def check(self, count: int) -> None:
        """Check that the number of rows is complete.

        Raises:
            DatabaseError: The server's own reason why it is not.
            ProtocolBroken: The server reported another number.
        """
        if self._failure is not None:
            raise self._failure
        if self._reported != count:
            reported = "did not report how many" if self._reported is None else f"reported {self._reported:,}"
            raise broken_protocol(f"it sent {count:,} rows, and {reported}")

    def _next(self) -> tuple[bytes, bytes]:
        """Return the next message. If the server closes the connection after an error, the error is the reason."""
        try:
            received = self._reader.next()
        except ConnectionFailed as error:
            raise self._failure or error from None
        if received is None:
            raise ConnectionFailed("The connection to the server broke: its socket does not wait.")
        return received
