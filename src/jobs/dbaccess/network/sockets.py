"""Sockets: open one to a server, keep it alive, and negotiate TLS."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from io import BufferedRWPair
from typing import Any, cast

from jobs.dbaccess.conninfo.settings import Server, Timeouts, Tls
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, TlsFailed
from jobs.dbaccess.network.hearing import DriversFile
from jobs.dbaccess.network.tls import context_for, handshake_failure

logger = logging.getLogger(__name__)

_SSL_REQUEST = struct.pack("!ii", 8, 80877103)
"""https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL"""

_CHECK = "Check host and port, that the server runs, and that security groups and firewalls admit this machine."


class WireSocket(socket.socket):
    """A socket that keeps the file object by which its driver reads and writes.

    Another implementation of the protocol can continue where the driver stopped, without losing buffered bytes. COPY
    does so.

    Attributes:
        file: The buffered file.
        drivers_file: The driver's file object over it.
        deadline: On the monotonic clock, for everything that is read until it is None.
    """

    file: BufferedRWPair
    drivers_file: DriversFile
    deadline: float | None = None

    def makefile(self, mode: Any = "r", *_: Any, **__: Any) -> Any:  # noqa: ANN401 - as socket's own overloads
        """Return the driver's file object, over a buffer that is large enough for many rows."""
        self.file = super().makefile(mode, FILE_BUFFER)
        self.drivers_file = DriversFile(self.file)
        return self.drivers_file

    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as socket's own
        """Receive bytes before the deadline. A timeout alone would begin again with each byte that a server sends."""
        if self.deadline is not None:
            self.settimeout(remaining(self.deadline))
        return super().recv_into(*args, **kwargs)


def remaining(deadline: float) -> float:
    """Return the seconds until the deadline.

    Raises:
        TimeoutError: It has passed.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("timed out")
    return seconds


FILE_BUFFER = 1 << 18
"""Bytes. Python's default of 8 KiB costs a system call for about 60 rows."""


class PlainSocket(WireSocket):
    """A socket without encryption."""


class TlsSocket(WireSocket, ssl.SSLSocket):
    """A socket with encryption. If it is non-blocking, its file behaves like that of a plain socket."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:  # noqa: ANN401 - as ssl's own
        """Receive bytes.

        Raises:
            BlockingIOError: In place of ssl's own errors, which socket files do not handle.
        """
        try:
            return super().recv_into(*args, **kwargs)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError(errno.EAGAIN, "nothing to read yet") from None


Transport = Callable[[], WireSocket]
"""Opens a socket on which to log in."""


def transports(server: Server, tls: Tls, timeouts: Timeouts) -> list[Transport]:
    """Return the transports that sslmode allows for a server, in order. As in libpq, a Unix socket is not encrypted."""

    def plain() -> WireSocket:
        _note_plain(server)
        return open_socket(server, timeouts)

    def encrypted() -> WireSocket:
        sock = open_socket(server, timeouts)
        try:
            return _negotiate(sock, server, tls)
        except BaseException:
            sock.close()
            raise

    if server.host.startswith("/"):
        return [plain]
    return {"disable": [plain], "allow": [plain, encrypted], "prefer": [encrypted, plain]}.get(tls.mode, [encrypted])


def _negotiate(sock: PlainSocket, server: Server, tls: Tls) -> WireSocket:
    """Return the socket under TLS if the server offers it; otherwise unchanged, if sslmode permits that."""
    if offers_tls(sock, server):
        return secured(sock, server, context_for(tls, server.host))
    if tls.mode != "prefer":
        raise TlsFailed(f"{server} does not offer TLS, and sslmode={tls.mode} requires it.", "Set ssl = on there.")
    _note_plain(server)
    return sock


def _note_plain(server: Server) -> None:
    if not server.is_local:
        _warn_plain(str(server))


@cache
def _warn_plain(server: str) -> None:
    """Log a warning, once for each server."""
    logger.warning("The connection to %s is not encrypted. Give --sslmode verify-full.", server)


def address_of(server: Server) -> str:
    """Return the first address of a server's name.

    Raises:
        ConnectionFailed: The name could not be looked up now.
        DatabaseError: The host does not exist.
    """
    try:
        return str(socket.getaddrinfo(server.hostaddr or server.host, server.port, type=socket.SOCK_STREAM)[0][4][0])
    except (socket.gaierror, UnicodeError) as error:
        raise _no_host(server, error) from None


def open_socket(server: Server, timeouts: Timeouts) -> PlainSocket:
    """Return a connected socket. It still has the connect timeout, which `settle` ends.

    Raises:
        ConnectionFailed: No server answers there, which may be temporary.
        DatabaseError: The host does not exist.
    """
    deadline = time.monotonic() + timeouts.connect_timeout
    sock = _connected(server, timeouts)
    sock.deadline = deadline
    return sock


def _connected(server: Server, timeouts: Timeouts) -> PlainSocket:
    try:
        if server.host.startswith("/"):
            local = PlainSocket(socket.AF_UNIX)
            local.settimeout(timeouts.connect_timeout)
            local.connect(f"{server.host}/.s.PGSQL.{server.port}")
            return local
        address = (server.hostaddr or server.host, server.port)
        connected = socket.create_connection(address, timeouts.connect_timeout)
    except (socket.gaierror, UnicodeError) as error:
        raise _no_host(server, error) from None
    except OSError as error:
        raise ConnectionFailed(f"No server answers at {server}: {error.strerror or error}.", _CHECK) from None
    sock = PlainSocket(connected.family, connected.type, connected.proto, fileno=connected.detach())
    sock.settimeout(timeouts.connect_timeout)
    _keep_alive(sock, timeouts)
    return sock


def _no_host(server: Server, error: socket.gaierror | UnicodeError) -> DatabaseError:
    """Return the error for a name without an address. A lookup that may succeed later is temporary."""
    temporary = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
    reason = error.strerror if isinstance(error, socket.gaierror) else "it is not a valid name"
    kind = ConnectionFailed if temporary else DatabaseError
    return kind(f"There is no host {server.host!r}: {reason}.", "Check the host's name.")


def reached(sock: socket.socket, server: Server) -> Server:
    """Return the server at the other end with its address. Its name stays the one to verify."""
    return server if server.host.startswith("/") else replace(server, hostaddr=sock.getpeername()[0])


def settle(sock: WireSocket) -> None:
    """End the connect timeout: a COPY or a publish may be silent for hours, and keepalives detect dead connections."""
    sock.deadline = None
    sock.settimeout(None)


def abandon(sock: socket.socket) -> None:
    """Close a socket at once. Its own close() would wait for the driver's file object, which an error references."""
    descriptor = sock.detach()
    if descriptor != -1:
        socket.close(descriptor)


# Option -> its name on systems other than Linux (macOS: TCP_KEEPALIVE). Some systems lack some options.
_IDLE = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))
_INTERVAL = getattr(socket, "TCP_KEEPINTVL", None)
_COUNT = getattr(socket, "TCP_KEEPCNT", None)
_USER_TIMEOUT = getattr(socket, "TCP_USER_TIMEOUT", None)


def _keep_alive(sock: socket.socket, timeouts: Timeouts) -> None:
    """Detect a peer that has vanished, and keep firewalls from dropping an idle connection."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    options = [(_USER_TIMEOUT, int(timeouts.user_timeout * 1000))]
    if timeouts.keepalive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        options += [(_IDLE, timeouts.idle), (_INTERVAL, timeouts.interval), (_COUNT, timeouts.count)]
    for option, value in options:
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def offers_tls(sock: WireSocket, server: Server) -> bool:
    """Request TLS. Returns whether the server agrees. Only one byte is read, so that nothing unencrypted can follow it.

    Raises:
        TlsFailed: The peer is no PostgreSQL server.
        ConnectionFailed: There is no answer.
    """
    try:
        sock.sendall(_SSL_REQUEST)
        answer = sock.recv(1)
    except OSError as error:
        raise ConnectionFailed(f"{server} does not answer the request for TLS: {error}.", _CHECK) from None
    if not answer:
        raise ConnectionFailed(
            f"{server} closed the connection when TLS was requested.", "Check that PostgreSQL is what listens there."
        )
    if answer not in (b"S", b"N"):
        raise TlsFailed(f"{server} does not speak PostgreSQL's protocol.", "Check host and port.")
    return answer == b"S"


def secured(sock: WireSocket, server: Server, context: ssl.SSLContext) -> TlsSocket:
    """Return the socket under TLS.

    Raises:
        TlsFailed: The handshake failed, or the server's certificate does not satisfy the context.
        ConnectionFailed: The connection broke meanwhile.
    """
    try:
        server.host.encode("idna")
    except UnicodeError:  # if this fails within ssl, it leaves a socket open
        raise TlsFailed(f"{server.host!r} cannot be a name in a certificate.", "Check the host's name.") from None
    context.sslsocket_class = TlsSocket
    try:
        encrypted = cast(TlsSocket, context.wrap_socket(sock, server_hostname=server.host))
    except ssl.SSLError as error:
        raise handshake_failure(error, str(server)) from None
    except OSError as error:
        raise ConnectionFailed(f"{server} closed the connection during the TLS handshake: {error}.", _CHECK) from None
    encrypted.deadline = sock.deadline
    return encrypted
