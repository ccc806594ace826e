"""The settings of a connection, as one frozen value that is sent to the tasks. Its representation shows no secrets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from jobs.dbaccess.conninfo.rds_hosts import region_of_host

DEFAULT_PORT = 5432
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
SESSION_ATTRS = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
SYSTEM_ROOTS = "system"
"""libpq's name, as an sslrootcert, for the certificate authorities that the system trusts."""


@dataclass(frozen=True)
class Server:
    """One possible server of the database.

    Attributes:
        host: A name, an address, or the directory of a Unix socket (beginning with "/").
        hostaddr: The address to connect to, if `host` is only the name to verify.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    hostaddr: str = ""

    @property
    def is_local(self) -> bool:
        """Return whether data sent there stays on this machine."""
        address = self.hostaddr or self.host
        return address.startswith(("/", "127.")) or address in ("localhost", "::1")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Login:
    """The login for which a password is requested."""

    host: str
    port: int
    user: str
    dbname: str

    @property
    def region(self) -> str:
        """Return the AWS region of the host; empty if the host does not belong to RDS or Aurora."""
        return region_of_host(self.host)


PasswordSource = Callable[[Login], str]
"""Returns the password for one connection, where it is opened, so that one that expires is read again. Picklable."""


@dataclass(frozen=True, repr=False)
class StaticPassword:
    """A password that is already known."""

    _text: str

    def __call__(self, login: Login | None = None) -> str:
        """Return the password for any login."""
        del login
        return self._text

    def __repr__(self) -> str:
        return "StaticPassword(****)"


@dataclass(frozen=True, repr=False)
class PasswordByServer:
    """Passwords from a password file for some of several servers."""

    _texts: tuple[tuple[str, int, str], ...]

    def __call__(self, login: Login) -> str:
        """Return the password for the login's server, or an empty one."""
        return next((text for host, port, text in self._texts if (host, port) == (login.host, login.port)), "")

    def __repr__(self) -> str:
        return "PasswordByServer(****)"


@dataclass(frozen=True, repr=False)
class Pem:
    """The text of a file in PEM format. It is sent to the tasks, which do not have the driver's files."""

    path: str
    text: str

    def __repr__(self) -> str:
        return f"Pem({self.path!r})"


@dataclass(frozen=True)
class Tls:
    """How the connection is secured, with libpq's meanings.

    Attributes:
        mode: One of SSL_MODES.
        roots: The trusted certificate authorities: those of a file, SYSTEM_ROOTS, or None for what fits the host.
        certificate: Our own certificate, with `key`, if the server requires one.
        key_password: The password of `key`, if it is encrypted.
    """

    mode: str = "prefer"
    roots: Pem | str | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    key_password: StaticPassword | None = None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a connection, and how to detect a dead one.

    Attributes:
        connect_timeout: Seconds for one attempt at one server: network, TLS and login.
        deadline: Seconds for all attempts together, as long as the failures may be temporary.
        keepalive: Whether idle connections are probed.
        idle, interval, count: Seconds without data before the first probe, seconds between probes, and the number of
        probes
            after which the connection counts as dead.
        user_timeout: Seconds that sent data may remain unacknowledged (Linux's TCP_USER_TIMEOUT).
    """

    connect_timeout: float = 15.0
    deadline: float = 60.0
    keepalive: bool = True
    idle: int = 60
    interval: int = 10
    count: int = 6
    user_timeout: float = 120.0


@dataclass(frozen=True)
class Settings:
    """Where to connect, as whom, and how.

    Attributes:
        servers: Tried in order.
        target_session_attrs: One of SESSION_ATTRS: what the session must be capable of.
        startup: Server settings for the session, such as statement_timeout.
        login_hint: What to check if the server rejects the login; empty for the usual hint.
    """

    dbname: str
    user: str
    servers: tuple[Server, ...] = (Server(),)
    password: PasswordSource | None = None
    tls: Tls = Tls()
    target_session_attrs: str = "any"
    application_name: str = ""
    startup: tuple[tuple[str, str], ...] = ()
    timeouts: Timeouts = field(default_factory=Timeouts)
    login_hint: str = ""

    def at(self, server: Server) -> Settings:
        """Return the settings for only one server, such as the one that holds a snapshot."""
        return replace(self, servers=(server,), target_session_attrs="any")

    @property
    def address(self) -> str:
        """Return the database's identity for logs and errors, without user and password."""
        return f"{','.join(map(str, self.servers))}/{self.dbname}"
