"""Reads the rows of `COPY ... TO STDOUT` from the wire, in blocks: a step of a regular expression a row, run by C code.

pg8000 calls Python code for each row's message, which costs more than all else that is done with the row.
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
"""Bytes that a block has at least, unless it is the last. A row longer than this is a block of its own."""

# In text format each message is one row, and a row ends in the only newline that it holds. What is not a whole row
# matches the second branch, as an empty one: the search must not go on within it.
_ROW = re.compile(rb"d(?s:....)([^\n]*\n)|(?s:.)+")


def rows(file: BufferedRWPair, statement: str) -> Iterator[bytes]:
    """Run a COPY to STDOUT in text format, and yield its rows in blocks of whole lines.

    Args:
        file: of a connection that waits for a statement, and does so again afterwards.
        statement: of which nothing is bound.

    Raises:
        DatabaseError: the server's own reason; it may come after some rows.
        ConnectionFailed: the connection broke.
        ProtocolBroken: the server tells of other rows than it sent, or of none.
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
    """What the server says of a COPY beside its rows.

    Attributes:
        has_begun: whether rows may come.
        ended: whether the server is ready for the next statement.
    """

    def __init__(self, reader: Reader) -> None:
        self.has_begun = self.ended = False
        self._reader = reader
        self._failure: DatabaseError | None = None
        self._heard = b""
        self._told: int | None = None

    def next_row(self) -> bytes:
        """The next message's row; empty where it has none.

        Raises:
            ConnectionFailed: the server hung up, and gave no reason.
            ProtocolBroken: the message cannot come here.
        """
        kind, body = self._next()
        if kind == COPY_DATA and self._heard == COPY_OUT and body.find(b"\n") == len(body) - 1:
            return body
        self._heard, before = self._heard + kind, self._heard
        if kind == ERROR and before.count(ERROR) < MOST_ERRORS:
            self._failure = from_server(error_fields(body))
        elif kind == COMPLETE and before == COPY_OUT + COPY_DONE:
            self._told = rows_copied(body)
        elif not (kind == READY or (kind == COPY_OUT and not before) or (kind == COPY_DONE and before == COPY_OUT)):
            raise broken_protocol(f"a message of the kind {kind!r} came while rows were read of it")
        self.has_begun = self._heard == COPY_OUT
        self.ended = kind == READY
        return b""

    def check(self, count: int) -> None:
        """See that so many rows were all.

        Raises:
            DatabaseError: the server's own reason why they are not.
            ProtocolBroken: it told another number.
        """
        if self._failure is not None:
            raise self._failure
        if self._told != count:
            told = "did not tell how many" if self._told is None else f"told of {self._told:,}"
            raise broken_protocol(f"it sent {count:,} rows, and {told}")

    def _next(self) -> tuple[bytes, bytes]:
        """The next message. Where the server hangs up after an error, that is the reason."""
        try:
            found = self._reader.next()
        except ConnectionFailed as error:
            raise self._failure or error from None
        if found is None:
            raise ConnectionFailed("The connection to the server broke: its socket does not wait.")
        return found
