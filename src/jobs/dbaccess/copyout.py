"""Reads the rows of `COPY ... TO STDOUT` from the wire, in blocks: a step of a regular expression a row, run by C code.

pg8000 calls Python code for each row's message, which costs more than all else that is done with the row.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-COPY
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from io import BufferedRWPair

from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, from_server

BLOCK = 1 << 21
"""Bytes that a block has at least, unless it is the last. A row longer than this is a block of its own."""

# Messages: a byte that names the kind, and a length that counts itself.
_HEADER = struct.Struct("!ci")
_DATA, _ERROR, _READY = b"d", b"E", b"Z"

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
    query = statement.encode() + b"\0"
    file.write(_HEADER.pack(b"Q", len(query) + 4) + query)
    file.flush()
    failure: DatabaseError | None = None
    block: list[bytes] = []
    size = 0
    while True:
        lines = _ROW.findall(file.peek(1))
        if lines and not lines[-1]:
            lines.pop()
        if lines:
            joined = b"".join(lines)
            file.read(len(joined) + _HEADER.size * len(lines))
        else:
            kind, joined = _read_message(file)
            if kind == _ERROR:
                failure = from_server(_fields(joined))
            if kind == _READY:
                break
            if kind != _DATA:
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


def _read_message(file: BufferedRWPair) -> tuple[bytes, bytes]:
    kind, length = _HEADER.unpack(_exactly(file, _HEADER.size))
    return kind, _exactly(file, length - 4)


def _exactly(file: BufferedRWPair, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ConnectionFailed("The connection to the server broke: it hung up.")
    return data


def _fields(message: bytes) -> Mapping[str, str]:
    """The fields of an ErrorResponse, by their codes."""
    texts = (field.decode(errors="replace") for field in message.split(b"\0") if field)
    return {text[0]: text[1:] for text in texts}
