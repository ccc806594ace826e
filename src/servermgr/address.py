"""The address on which a server listens, and by which clients on the same machine reach it."""

from __future__ import annotations

import socket
from urllib.parse import quote

_LOCAL = "127.0.0.1"
_EVERY_INTERFACE = {"*": _LOCAL, "0.0.0.0": _LOCAL, "::": "::1"}  # noqa: S104 - compared with, not bound


def to_listen(host: str) -> str:
    """Return the interface to listen on; the loopback interface if `host` is empty."""
    return host or _LOCAL


def for_clients(host: str) -> str:
    """Return the host that clients connect to, for a server that listens on `host` (several with commas between)."""
    first = to_listen(host).partition(",")[0].strip()
    return _EVERY_INTERFACE.get(first, first)


def url(user: str, host: str, port: int, dbname: str) -> str:
    """Return a connection URL without a password: `postgresql://postgres@127.0.0.1:15432/postgres`."""
    reached = for_clients(host)
    authority = f"[{reached}]" if ":" in reached else reached
    return f"postgresql://{quote(user, safe='')}@{authority}:{port}/{quote(dbname, safe='')}"


def free_port(host: str) -> int:
    """Return a port that is currently free on the interface. Another process may take it at any time.

    Raises:
        OSError: This machine has no such interface.
    """
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(for_clients(host), 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.bind(name)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise OSError(error.errno, f"{host} is no interface of this machine: {error.strerror}") from None
