"""Messages of PostgreSQL's protocol: a byte that names the kind, a length that counts itself, and a body.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Protocol

from jobs.dbaccess.errors import ConnectionFailed

HEADER = struct.Struct("!ci")

QUERY, COPY_DATA, COPY_DONE, COPY_FAIL = b"Q", b"d", b"c", b"f"
COPY_IN, ERROR, COMPLETE, PARAMETER, READY = b"G", b"E", b"C", b"S", b"Z"


def message(kind: bytes, body: bytes | bytearray | memoryview = b"") -> bytes:
    """A message as it is sent."""
    return b"".join((HEADER.pack(kind, len(body) + 4), body))


def error_fields(body: bytes) -> Mapping[str, str]:
    """The fields of an ErrorResponse, by their codes."""
    texts = (field.decode(errors="replace") for field in body.split(b"\0") if field)
    return {text[0]: text[1:] for text in texts}


class Source(Protocol):
    """A file of a connection."""

    def read(self, size: int, /) -> bytes | None:
        """So many bytes, or those that there are; None where its socket does not wait, and there are none."""


class Reader:
    """Reads one message after the other, and no byte beyond. It keeps what has come of one that is not whole.

    Args:
        file: of a connection. Where its socket does not wait, neither does this.
    """

    def __init__(self, file: Source) -> None:
        self._file = file
        self._part = bytearray()

    def next(self) -> tuple[bytes, bytes] | None:
        """The kind and the body of the next message; None where it is not there yet.

        Raises:
            ConnectionFailed: the server hung up.
        """
        while (missing := self._missing()) > 0:
            more = self._file.read(missing)
            if more is None:
                return None
            if not more:
                raise ConnectionFailed("The connection to the server broke: it hung up.")
            self._part += more
        kind, body = bytes(self._part[:1]), bytes(self._part[HEADER.size :])
        self._part.clear()
        return kind, body

    def _missing(self) -> int:
        """Bytes that are known to be missing."""
        if len(self._part) < HEADER.size:
            return HEADER.size - len(self._part)
        length: int = HEADER.unpack_from(self._part)[1]
        return length + 1 - len(self._part)
