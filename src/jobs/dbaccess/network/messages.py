"""Messages of PostgreSQL's protocol: a byte for the type, a length that includes itself, and a body.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from jobs.dbaccess.errors import ConnectionFailed, broken_protocol
from jobs.dbaccess.network import bodies

HEADER = struct.Struct("!ci")
_OF_LENGTH = 4
"""The bytes of a length, which the length includes."""

QUERY, PARSE, COPY_DATA, COPY_DONE, COPY_FAIL = b"Q", b"P", b"d", b"c", b"f"
AUTHENTICATION, KEY, READY = b"R", b"K", b"Z"
COPY_IN, COPY_OUT, ERROR, COMPLETE = b"G", b"H", b"E", b"C"
COLUMNS, NO_COLUMNS, ROW = b"T", b"n", b"D"
NOTICE, NOTIFICATION, PARAMETER = b"N", b"A", b"S"

GIGABYTE = 1 << 30
"""Bytes. PostgreSQL builds no longer message."""

SHORT, LONGEST_ANSWER, LONGEST_ERROR, LONGEST_COLUMNS = 30_000, 1 << 26, 1 << 20, 1 << 20
"""The maximum bytes of a message: of most types (libpq's own limit), and of those with another one.

These are a row for a statement of ours, an error, whose message may quote a value, and the description of 1,600
columns.
"""

LONGEST_TALK = 4 * GIGABYTE
"""The maximum bytes that a server may send without content for us: a NOTICE for each of about ten million rows."""

_PIECE = 1 << 20
"""Bytes to request at a time: a length is no reason to reserve memory."""

# How much of each type is kept, and its maximum length. NOTICEs and notifications are not used here.
_LIMITS: Mapping[bytes, tuple[int, int]] = {
    **dict.fromkeys((AUTHENTICATION, KEY, READY, COPY_IN, COPY_OUT, COMPLETE, PARAMETER), (SHORT, SHORT)),
    **dict.fromkeys((b"1", b"2", b"3", b"I", b"s", b"t", COPY_DONE, NO_COLUMNS), (SHORT, SHORT)),
    COPY_DATA: (GIGABYTE, GIGABYTE),
    COLUMNS: (LONGEST_COLUMNS, LONGEST_COLUMNS),
    ROW: (LONGEST_ANSWER, LONGEST_ANSWER),
    ERROR: (LONGEST_ERROR, GIGABYTE),
    NOTICE: (0, GIGABYTE),
    NOTIFICATION: (0, GIGABYTE),
}
_TALK = frozenset({NOTICE, NOTIFICATION, PARAMETER})


def message(kind: bytes, body: bytes | bytearray | memoryview = b"") -> bytes:
    """Return a message as it is sent."""
    return b"".join((HEADER.pack(kind, len(body) + _OF_LENGTH), body))


def error_fields(body: bytes) -> Mapping[str, str]:
    """Return the fields of an ErrorResponse, by their codes."""
    texts = (field.decode(errors="replace") for field in body.split(b"\0") if field)
    return {text[0]: text[1:] for text in texts}


class ByteSource(Protocol):
    """A file of a connection."""

    def read(self, size: int, /) -> bytes | None:
        """Return so many bytes, or those available; None if the socket is non-blocking and none are available."""


class Reader:
    """Reads one message after another, and no byte beyond. It stores what has arrived of an incomplete message.

    The messages that it returns have a known type, a limited length and a valid form. NOTICEs, notifications and
    parameters are not used, and are skipped.

    Args:
        file: The file of a connection. If its socket is non-blocking, so is this.

    Attributes:
        longest_talk: The maximum bytes to skip before anything else arrives.
    """

    def __init__(self, file: ByteSource, longest_talk: int = LONGEST_TALK) -> None:
        self._file = file
        self.longest_talk = longest_talk
        self._talk = 0
        self._part = bytearray()
        self._dropped = 0

    def next(self) -> tuple[bytes, bytes] | None:
        """Return type and body of the next message; None if it is not complete yet.

        If an error is longer than `LONGEST_ERROR`, the body is its beginning.

        Raises:
            ConnectionFailed: The server closed the connection.
            ProtocolBroken: The server violates the protocol.
        """
        while self._is_whole():
            kind, body = bytes(self._part[:1]), bytes(self._part[HEADER.size :])
            self._count(kind, len(body) + self._dropped)
            self._part.clear()
            self._dropped = 0
            bodies.check(kind, body)
            if kind not in _TALK:
                return kind, body
        return None

    def _is_whole(self) -> bool:
        """Return whether a message is complete, as far as it is kept."""
        while (missing := self._missing()) > 0:
            piece = self._file.read(min(missing, _PIECE))
            if piece is None:
                return False
            if not piece:
                raise ConnectionFailed("The connection to the server broke: it hung up.")
            self._part += piece
            self._drop()
        return True

    def _missing(self) -> int:
        """Return the number of bytes that are known to be missing."""
        if len(self._part) < HEADER.size:
            return HEADER.size - len(self._part)
        kind, length = HEADER.unpack_from(self._part)
        if kind not in _LIMITS:
            raise broken_protocol(f"a message is of the kind {kind!r}")
        if not _OF_LENGTH <= length <= _LIMITS[kind][1] + _OF_LENGTH:
            raise broken_protocol(f"a message of the kind {kind!r} has the length {length:,}")
        return int(length) + 1 - len(self._part) - self._dropped

    def _drop(self) -> None:
        """Discard what is longer than is kept."""
        if len(self._part) > HEADER.size:
            kept = HEADER.size + _LIMITS[bytes(self._part[:1])][0]
            self._dropped += max(len(self._part) - kept, 0)
            del self._part[kept:]
        elif len(self._part) == HEADER.size:
            self._missing()

    def _count(self, kind: bytes, size: int) -> None:
        self._talk = self._talk + HEADER.size + size if kind in _TALK else 0
        if self._talk > self.longest_talk:
            raise broken_protocol(f"{self._talk:,} bytes of notices and parameters came, and no answer")
