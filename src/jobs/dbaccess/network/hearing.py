"""What pg8000 reads from a server: complete messages, each of a valid form, in a limited number.

pg8000 trusts each length, stores each row, and raises arbitrary exceptions for an unexpected message. So it reads from
a file object that has read and checked the message before.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedRWPair

from pg8000.converters import PG_TYPES

from jobs.dbaccess.errors import ConnectionFailed, ProtocolBroken, broken_protocol, from_server
from jobs.dbaccess.network import bodies, login
from jobs.dbaccess.network.login import LoginSteps
from jobs.dbaccess.network.messages import (
    COLUMNS,
    COMPLETE,
    ERROR,
    LONGEST_ANSWER,
    LONGEST_TALK,
    NO_COLUMNS,
    PARSE,
    QUERY,
    READY,
    ROW,
    Reader,
    error_fields,
    message,
)

_STATEMENTS = (QUERY, PARSE)
_ANSWERS = frozenset({b"1", b"2", b"3", b"I", b"t", COLUMNS, NO_COLUMNS, ROW, COMPLETE, ERROR, READY})

_OF_ROW, _OF_STEP = 128, 1 << 16
"""Bytes that count in addition to a message's own: about what Python uses for the smallest row.

For other kinds of messages it is so much that an answer has at most some hundreds.
"""


class DriversFile:
    """The file object of a connection for pg8000.

    Attributes:
        state: The server's transaction status when it was last ready: I (none), T (open) or E (failed).
        tag: The server's tag of the last statement that it completed.
    """

    def __init__(self, file: BufferedRWPair) -> None:
        self.state = self.tag = b""
        self._file = file
        self._reader = Reader(file)
        self._rest = memoryview(b"")
        self._login = LoginSteps()
        self._begin()

    @property
    def wants_password(self) -> bool:
        """Whether the server has asked for a password."""
        return self._login.wants_password

    def _begin(self) -> None:
        """Begin a statement."""
        self._reader.longest_talk = LONGEST_TALK if self._login.done else login.LONGEST
        self._size = 0
        self._columns: int | None = None
        self._width: int | None = None
        self._error = b""

    def read(self, size: int) -> bytes:
        """Return so many bytes of the current message, or of the next one."""
        if size and not self._rest:
            self._rest = memoryview(message(*self._next()))
        piece, self._rest = self._rest[:size], self._rest[size:]
        return bytes(piece)

    def write(self, data: bytes) -> int:
        """Write a message."""
        if data[:1] in _STATEMENTS:
            self._begin()
        return self._file.write(data)

    def flush(self) -> None:
        """Send the written bytes."""
        self._file.flush()

    def _next(self) -> tuple[bytes, bytes]:
        """Return the next message.

        Raises:
            ConnectionFailed: The connection broke; with the server's reason, if it gave one.
            ProtocolBroken: The message is not valid at this point.
        """
        try:
            received = self._reader.next()
        except OSError as error:
            raise self._broken(str(error.strerror or error)) from None
        except ProtocolBroken:
            raise
        except ConnectionFailed:
            raise self._broken("it hung up") from None
        if received is None:
            raise self._broken("its socket does not wait")
        kind, body = received
        self._measure(len(body) + (_OF_ROW if kind == ROW else _OF_STEP))
        if self._login.done:
            self._take(kind, body)
        else:
            self._login.take(kind, body)
        if kind == ERROR:
            self._error = body
        return received

    def _broken(self, how: str) -> ConnectionFailed:
        reason = from_server(error_fields(self._error)).message.rstrip(".") if self._error else how
        return ConnectionFailed(f"The connection to the server broke: {reason}.")

    def _measure(self, size: int) -> None:
        self._size += size
        most = LONGEST_ANSWER if self._login.done else login.LONGEST
        if self._size > most:
            raise broken_protocol(f"an answer is longer than {most:,} bytes")

    def _take(self, kind: bytes, body: bytes) -> None:
        """Check that an answer to a statement is valid at this point, and store what matters of it."""
        if kind not in _ANSWERS:
            raise broken_protocol(f"a message of the kind {kind!r} came as the answer to a statement")
        if kind == ROW and (self._columns is None or bodies.values(body) != self._columns):
            raise broken_protocol("a row has other columns than were described")
        if kind == COLUMNS:
            self._columns = bodies.columns(body)
            if self._width not in {None, self._columns}:
                raise broken_protocol("an answer has rows of different columns")
        elif kind == ROW:
            self._width = self._columns
        elif kind in {NO_COLUMNS, COMPLETE, ERROR}:
            self._columns = None
        if kind == COMPLETE:
            self.tag = body[:-1]
        if kind == READY:
            self.state = body


def _strict(convert: Callable[[str], object]) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return convert(text)
        except Exception:  # noqa: BLE001 - each type has its own parser, which may raise anything
            raise broken_protocol("a value is not of its column's type") from None

    return read


READERS = {oid: _strict(convert) for oid, convert in PG_TYPES.items()}
"""pg8000's converters by type oid. A value that one cannot parse is an error of the server, and is not shown."""
