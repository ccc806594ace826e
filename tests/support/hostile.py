"""Servers that mean harm: one that says what a test wants it to, and one that alters what a real server says."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from peers import Handler

OK = struct.pack("!i", 0)
SSL_REQUEST = struct.pack("!ii", 8, 80877103)


def message(kind: bytes, body: bytes = b"") -> bytes:
    """A message that is right as such."""
    return kind + struct.pack("!i", len(body) + 4) + body


def of_length(kind: bytes, length: int, body: bytes = b"") -> bytes:
    """A message that lies about its length."""
    return kind + struct.pack("!I", length % (1 << 32)) + body


def authentication(code: int, rest: bytes = b"") -> bytes:
    """A step of a login."""
    return message(b"R", struct.pack("!i", code) + rest)


def error(*fields: bytes) -> bytes:
    """An ErrorResponse of these fields, each with its code."""
    return message(b"E", b"".join(field + b"\0" for field in fields) + b"\0")


def described(*columns: tuple[str, int], form: int = 0) -> bytes:
    """A RowDescription: names, and types by their oids."""
    bodies = (name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, oid, -1, -1, form) for name, oid in columns)
    return message(b"T", struct.pack("!H", len(columns)) + b"".join(bodies))


def row(*values: bytes | None) -> bytes:
    """A DataRow."""
    sized = (struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values)
    return message(b"D", struct.pack("!H", len(values)) + b"".join(sized))


def complete(tag: str) -> bytes:
    """A CommandComplete."""
    return message(b"C", tag.encode() + b"\0")


def parameter(name: str, value: str) -> bytes:
    """A ParameterStatus."""
    return message(b"S", f"{name}\0{value}\0".encode())


READY, IN_TRANSACTION = message(b"Z", b"I"), message(b"Z", b"T")
KEY = message(b"K", struct.pack("!ii", 7, 7))
WELCOME = authentication(0) + parameter("client_encoding", "UTF8") + KEY + READY
INTEGER, TEXT = 23, 25
IDENTITY = (
    described(("pid", INTEGER), ("started", TEXT), ("label", TEXT)) + row(b"7", b"1.5", b"t") + complete("SELECT 1")
)


@dataclass
class Client:
    """A connection of a client's, seen from the server."""

    connection: socket.socket

    def say(self, *said: bytes) -> None:
        """Send."""
        self.connection.sendall(b"".join(said))

    def repeat(self, said: bytes) -> None:
        """Send the same until nobody listens."""
        block = said * max((1 << 20) // len(said), 1)
        while True:
            self.connection.sendall(block)

    def hear_startup(self) -> None:
        """Read what a client says first; TLS is not offered."""
        [length] = struct.unpack("!i", self._read(4))
        rest = self._read(length - 4)
        if length == len(SSL_REQUEST):
            self.say(b"N")
            self.hear_startup()
        assert rest

    def hear(self) -> tuple[bytes, bytes]:
        """Read a message."""
        kind, length = struct.unpack("!ci", self._read(5))
        return kind, self._read(length - 4)

    def let_in(self) -> None:
        """Let the client log in, and tell it what it asks then."""
        self.hear_startup()
        self.say(WELCOME)
        self.hear()
        self.say(IDENTITY, READY)

    def wait(self) -> None:
        """Say no more, until the client hangs up."""
        with contextlib.suppress(OSError):
            while self.connection.recv(1 << 16):
                pass

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            more = self.connection.recv(size - len(data))
            if not more:
                raise ConnectionResetError
            data += more
        return data


def scripted(script: Callable[[Client], None]) -> Handler:
    """Does what a script says, then waits until the client hangs up."""

    def handle(connection: socket.socket) -> None:
        client = Client(connection)
        script(client)
        client.wait()

    return handle


Change = Callable[[bytes, bytes], bytes]
"""Gives, for the kind and the body of a server's message, what is to be sent in its place."""


def tampering(backend: tuple[str, int], change: Change) -> Handler:
    """Passes on what a client says to a real server, and alters what that answers."""

    def handle(connection: socket.socket) -> None:
        with socket.create_connection(backend) as server:
            for half in (connection, server):
                half.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            passing = threading.Thread(target=_pass_on, args=(connection, server), daemon=True)
            passing.start()
            for kind, body in _messages(server):
                connection.sendall(change(kind, body))
            connection.shutdown(socket.SHUT_RDWR)
            passing.join(5)

    return handle


def _pass_on(client: socket.socket, server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := client.recv(1 << 16):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)


def _messages(server: socket.socket) -> Iterator[tuple[bytes, bytes]]:
    with server.makefile("rb") as file:
        while header := file.read(5):
            kind, length = struct.unpack("!ci", header)
            yield kind, file.read(length - 4)
