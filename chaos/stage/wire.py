"""A proxy between a job and the server: counts what the job sends, and triggers an ambush at the planned point.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from chaos.plan.steps import step_of
from chaos.plan.trial import Point

_HEADER = struct.Struct("!ci")
_PIECE = 1 << 16
_PARSE, _QUERY, _EXECUTE, _COPY_DATA = b"P", b"Q", b"E", b"d"
_READY = b"Z"
_SLOW = 0.05
"""Seconds that a slow connection waits before each piece."""


@dataclass
class Ambush:
    """An action that happens once, at a planned point, on the connection that reaches it.

    Attributes:
        sprung: The statement, or its beginning, at which it happened; None before.
    """

    point: Point
    spring: Callable[[Link], None]
    sprung: str | None = None


class Link:
    """One connection of a job, from the job to the proxy and from there to the server.

    Args:
        client: The job's half.
        server: The server's half.
    """

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.done: set[str] = set()
        self.delay = 0.0
        self.lost = False
        self.deaf = False
        self.on_execute: Ambush | None = None
        self.on_answer: Ambush | None = None

    def cut(self) -> None:
        """Break both halves."""
        self.lost = True
        for half in (self.client, self.server):
            _shut(half)

    def half_close(self) -> None:
        """End only the server's direction: the job reads an end of file, and what it writes still arrives."""
        self.deaf = True
        _shut(self.client, socket.SHUT_WR)

    def vanish(self) -> None:
        """Break the job's half without telling the server, as if the job's machine had lost power."""
        self.lost = True
        _shut(self.client)

    def slow_down(self) -> None:
        """Delay all further pieces."""
        self.delay = _SLOW


@dataclass
class Wire:
    """The proxy to the server, for jobs.

    Attributes:
        backend: The server's host and port.
        statements: How many were sent since the last `reset`.
        copied: Bytes of COPY since then, in either direction.
        steps: How often each step was begun.
        said: The statements themselves, shortened.
    """

    backend: tuple[str, int]
    statements: int = 0
    copied: int = 0
    steps: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    _ambush: Ambush | None = None
    _links: list[Link] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextlib.contextmanager
    def listening(self) -> Iterator[int]:
        """Accept connections during the block, on the port that it yields."""
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
            try:
                yield listener.getsockname()[1]
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                self.hang_up()

    def reset(self, ambush: Ambush | None = None) -> None:
        """Count from zero, and set an ambush."""
        with self._lock:
            self.statements = self.copied = 0
            self.steps, self.said = Counter(), []
            self._ambush = ambush

    def hang_up(self) -> None:
        """Close all remaining connections, including half-closed ones."""
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
        # A message is sent at once. Otherwise each one would wait for the other side's delayed acknowledgement.
        for half in (client, server):
            half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server)
        with self._lock:
            self._links.append(link)
        threading.Thread(target=self._backwards, args=(link,), daemon=True).start()
        with contextlib.suppress(OSError, ValueError):
            self._forwards(link)
        if not link.lost:
            _shut(server)

    def _forwards(self, link: Link) -> None:
        """Forward from the job to the server, message by message."""
        source = link.client.makefile("rb", _PIECE)
        size = source.read(4)
        if len(size) < 4:  # noqa: PLR2004 - the first message has a length and no type
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
        """Count a message before it is forwarded."""
        if link.delay:
            time.sleep(link.delay)
        if kind in (_PARSE, _QUERY) and piece:
            self._watch_statement(link, kind, _text(piece))
        elif kind == _COPY_DATA:
            self._watch_copy(link, size)
        elif kind == _EXECUTE and link.on_execute is not None:
            link.on_execute, link.on_answer = None, link.on_execute

    def _watch_statement(self, link: Link, kind: bytes, text: str) -> None:
        with self._lock:
            step = step_of(text, link.done)
            if text.startswith("BEGIN"):
                link.done.clear()
            link.done.add(step)
            self.statements += 1
            self.steps[step] += 1
            self.said.append(text)
            ambush = self._sprung_by({"statement": self.statements, step: self.steps[step]})
        if ambush is None:
            return
        if not ambush.point.answered:
            ambush.spring(link)
        elif kind == _PARSE:  # the answer to its execution, not to its parsing
            link.on_execute = ambush
        else:
            link.on_answer = ambush

    def _watch_copy(self, link: Link, size: int) -> None:
        with self._lock:
            self.copied += size
            ambush = self._sprung_by({"byte": self.copied})
        if ambush is not None:
            ambush.spring(link)

    def _sprung_by(self, reached: Mapping[str, int]) -> Ambush | None:
        ambush = self._ambush
        if ambush is None or reached.get(ambush.point.unit, 0) < ambush.point.at:
            return None
        self._ambush = None
        ambush.sprung = self.said[-1] if self.said else ""
        return ambush

    def _backwards(self, link: Link) -> None:
        """Forward from the server to the job."""
        with contextlib.suppress(OSError):
            while True:
                data = link.server.recv(_PIECE)
                if not data:
                    break
                ambush = link.on_answer
                if ambush is not None and data[-6:-5] == _READY:  # ReadyForQuery: a type, a length of 5, a state
                    link.on_answer = None
                    ambush.spring(link)
                if "copy out" in link.done:
                    self._watch_copy(link, len(data))
                if not link.deaf:
                    link.client.sendall(data)
        if not link.lost:
            _shut(link.client)


def _text(piece: bytes) -> str:
    return " ".join(piece.replace(b"\0", b" ").decode(errors="replace").split())[:120]


def _shut(half: socket.socket, how: int = socket.SHUT_RDWR) -> None:
    with contextlib.suppress(OSError):
        half.shutdown(how)
