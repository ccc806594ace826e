"""Stands between a job and the server: counts what the job says, and lets an ambush spring at its moment.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from chaos.plan import Moment

_HEADER = struct.Struct("!ci")
_PIECE = 1 << 16
_STATEMENTS = (b"P", b"Q")
_COPY_DATA = b"d"
_READY = b"Z"
_SLOW = 0.05
"""Seconds that a slowed connection waits before each piece."""


@dataclass
class Ambush:
    """Something that happens at a moment, once, on the connection that came to it.

    Attributes:
        sprung: the statement, or its beginning, at which it happened; None before.
    """

    moment: Moment
    spring: Callable[[Link], None]
    sprung: str | None = None


class Link:
    """One connection of a job's, from the job to the wire and from there to the server."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.delay = 0.0
        self.lost = False
        self.on_answer: Ambush | None = None

    def cut(self) -> None:
        """Break both halves."""
        self.lost = True
        for half in (self.client, self.server):
            _shut(half)

    def half_close(self) -> None:
        """Break the job's half. The server is not told: as if the job's machine had lost its power."""
        self.lost = True
        _shut(self.client)

    def slow_down(self) -> None:
        """Let pieces pass slowly from now on."""
        self.delay = _SLOW


@dataclass
class Wire:
    """A way to the server for jobs.

    Attributes:
        backend: the server's host and port.
        statements: how many were sent since the last `reset`.
        copied: bytes of COPY sent since then.
        said: the statements themselves, shortened.
    """

    backend: tuple[str, int]
    statements: int = 0
    copied: int = 0
    said: list[str] = field(default_factory=list)
    _ambush: Ambush | None = None
    _links: list[Link] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Take connections meanwhile, on the port that this gives."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                yield listener.getsockname()[1]
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                self.hang_up()

    def reset(self, ambush: Ambush | None = None) -> None:
        """Count from zero; lay an ambush."""
        with self._lock:
            self.statements = self.copied = 0
            self.said = []
            self._ambush = ambush

    def hang_up(self) -> None:
        """End what is left of all connections, half-closed ones among them."""
        with self._lock:
            links, self._links = self._links, []
        for link in links:
            link.cut()
            link.client.close()
            link.server.close()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self.backend, timeout=10)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        link = Link(client, server)
        with self._lock:
            self._links.append(link)
        threading.Thread(target=self._backwards, args=(link,), daemon=True).start()
        with contextlib.suppress(OSError, ValueError):
            self._forwards(link)
        if not link.lost:
            _shut(server)

    def _forwards(self, link: Link) -> None:
        """From the job to the server, message by message."""
        source = link.client.makefile("rb", _PIECE)
        size = source.read(4)
        if len(size) < 4:  # noqa: PLR2004 - the first message has a length and no kind
            return
        link.server.sendall(size + source.read(struct.unpack("!i", size)[0] - 4))
        while True:
            header = source.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return
            kind, length = _HEADER.unpack(header)
            rest = length - 4
            piece = source.read(min(rest, _PIECE))
            self._watch(link, kind, piece, rest)
            link.server.sendall(header + piece)
            rest -= len(piece)
            while rest:
                piece = source.read(min(rest, _PIECE))
                if not piece:
                    return
                self._watch(link, kind, b"", len(piece))
                link.server.sendall(piece)
                rest -= len(piece)

    def _watch(self, link: Link, kind: bytes, piece: bytes, size: int) -> None:
        """Count a message that is about to pass."""
        if link.delay:
            time.sleep(link.delay)
        reached = None
        with self._lock:
            ambush = self._ambush
            if kind in _STATEMENTS and piece:
                self.statements += 1
                self.said.append(_text(piece))
                reached = ("statement", self.statements)
            elif kind == _COPY_DATA:
                self.copied += size
                reached = ("byte", self.copied)
            if ambush is None or reached is None or not _is_due(ambush.moment, *reached):
                return
            self._ambush = None
            ambush.sprung = self.said[-1] if self.said else ""
        if ambush.moment.answered:
            link.on_answer = ambush
        else:
            ambush.spring(link)

    def _backwards(self, link: Link) -> None:
        """From the server to the job; where an answer is waited for, message by message."""
        with contextlib.suppress(OSError):
            while True:
                data = link.server.recv(_PIECE)
                if not data:
                    break
                ambush = link.on_answer
                if ambush is not None and data[-6:-5] == _READY:  # ReadyForQuery: a kind, a length of 5, a state
                    link.on_answer = None
                    ambush.spring(link)
                link.client.sendall(data)
        if not link.lost:
            _shut(link.client)


def _is_due(moment: Moment, unit: str, count: int) -> bool:
    return moment.unit == unit and count >= moment.at


def _text(piece: bytes) -> str:
    return " ".join(piece.replace(b"\0", b" ").decode(errors="replace").split())[:120]


def _shut(half: socket.socket) -> None:
    with contextlib.suppress(OSError):
        half.shutdown(socket.SHUT_RDWR)
