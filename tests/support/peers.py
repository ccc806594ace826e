"""Servers to connect to in tests: one that speaks TLS in front of a real PostgreSQL, and ones that misbehave."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Handler = Callable[[socket.socket], None]


@contextmanager
def peer(handle: Handler) -> Iterator[int]:
    """A server on this machine that hands each connection to `handle` in a thread; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, handle), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # else, its thread waits for connections as long as the tests run
        thread.join(5)


def _serve(listener: socket.socket, handle: Handler) -> None:
    threads = []
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            threads.append(threading.Thread(target=_handle, args=(connection, handle), daemon=True))
            threads[-1].start()
    for thread in threads:
        thread.join(5)


def _handle(connection: socket.socket, handle: Handler) -> None:
    with connection, contextlib.suppress(OSError):
        handle(connection)


def ssl_request(connection: socket.socket) -> None:
    """Read what a client asks first."""
    assert connection.recv(8) == struct.pack("!ii", 8, 80877103)


def answering(answer: bytes) -> Handler:
    """Answers the request for TLS with these bytes, and hangs up."""

    def handle(connection: socket.socket) -> None:
        ssl_request(connection)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return handle


def error_response(sqlstate: str, message: str) -> bytes:
    """PostgreSQL's refusal of a connection."""
    fields = b"".join(key + text.encode() + b"\0" for key, text in ((b"S", "FATAL"), (b"C", sqlstate), (b"M", message)))
    return b"E" + struct.pack("!i", len(fields) + 5) + fields + b"\0"


def refusing(sqlstate: str, message: str) -> Handler:
    """Refuses the login, over plain text, as a server does that is starting up or full."""

    def handle(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(error_response(sqlstate, message))

    return handle


def tls_front(backend: tuple[str, int], context: ssl.SSLContext) -> Handler:
    """Speaks TLS with the client, and plain text with a real server."""

    def handle(connection: socket.socket) -> None:
        ssl_request(connection)
        connection.sendall(b"S")
        with context.wrap_socket(connection, server_side=True) as client, socket.create_connection(backend) as server:
            relay(client, server)

    return handle


def tls_between(backend: tuple[str, int], context: ssl.SSLContext) -> Handler:
    """Speaks TLS with the client, and TLS of its own with a real server: a man in the middle."""

    def handle(connection: socket.socket) -> None:
        ssl_request(connection)
        connection.sendall(b"S")
        unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        with context.wrap_socket(connection, server_side=True) as client, socket.create_connection(backend) as plain:
            plain.sendall(struct.pack("!ii", 8, 80877103))
            assert plain.recv(1) == b"S"
            with unverified.wrap_socket(plain) as server:
                relay(client, server)

    return handle


def forwarding(backend: tuple[str, int]) -> Handler:
    """Passes everything on."""

    def handle(connection: socket.socket) -> None:
        with socket.create_connection(backend) as server:
            relay(connection, server)

    return handle


def relay(client: socket.socket, server: socket.socket) -> None:
    """Pass bytes both ways until one side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while True:
            for key, _ in selector.select():
                source = key.fileobj
                assert isinstance(source, socket.socket)
                data = source.recv(65536)
                if not data:
                    return
                key.data.sendall(data)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    key.data.sendall(source.recv(65536))
