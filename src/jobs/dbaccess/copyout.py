"""Reads the rows of `COPY ... TO STDOUT` from the wire, in blocks: a step of a regular expression a row, run by C code.

pg8000 calls Python code for each row's message, which costs more than all else that is done with the row.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BufferedRWPair

from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, from_server
from jobs.dbaccess.messages import COPY_DATA, ERROR, HEADER, QUERY, READY, Reader, error_fields, message

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
    """
    file.write(message(QUERY, statement.encode() + b"\0"))
    file.flush()
    reader = Reader(file)
    failure: DatabaseError | None = None
    block: list[bytes] = []
    size = 0
    while True:
        lines = _ROW.findall(file.peek(1))
        if lines and not lines[-1]:
            lines.pop()
        if lines:
            joined = b"".join(lines)
            file.read(len(joined) + HEADER.size * len(lines))
        else:
            kind, joined = _next(reader, failure)
            if kind == ERROR:
                failure = from_server(error_fields(joined))
            if kind == READY:
                break
            if kind != COPY_DATA:
                continue
        block.append(joined)
        size += len(joined)
        if size >= BLOCK:
            yield b"".join(block)
            block, size = [], 0
    if failure is not None:
        raise failure
    if block:
        yield b"".join(block)


def _next(reader: Reader, failure: DatabaseError | None) -> tuple[bytes, bytes]:
    """The next message. Where the server hangs up after an error, that is the reason."""
    try:
        found = reader.next()
    except ConnectionFailed as error:
        raise failure or error from None
    if found is None:
        raise ConnectionFailed("The connection to the server broke: its socket does not wait.")
    return found
