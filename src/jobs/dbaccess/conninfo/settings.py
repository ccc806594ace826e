"""What a connection needs, as one frozen value that travels to the tasks. Secrets in it never show themselves."""

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
    """One place where the database may be.

    Attributes:
        host: a name, an address, or a directory with a Unix socket (it begins with "/").
        hostaddr: the address to connect to, when `host` is only the name to verify.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    hostaddr: str = ""

    @property
    def is_local(self) -> bool:
        """Whether nothing that goes there leaves this machine."""
        address = self.hostaddr or self.host
        return address.startswith(("/", "127.")) or address in ("localhost", "::1")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True)
class Login:
    """What a password is asked for."""

    host: str
    port: int
    user: str
    dbname: str

    @property
    def region(self) -> str:
        """The AWS region of the host; empty for a host that is not one of RDS or Aurora."""
        return region_of_host(self.host)


PasswordSource = Callable[[Login], str]
"""Gives the password for one connection, where it is opened: so one that expires is fetched anew. Picklable."""


@dataclass(frozen=True, repr=False)
class StaticPassword:
    """A password that is known already."""

    _text: str

    def __call__(self, login: Login | None = None) -> str:
        """The password, whoever asks."""
        del login
        return self._text

    def __repr__(self) -> str:
        return "StaticPassword(****)"


@dataclass(frozen=True, repr=False)
class PasswordByServer:
    """Passwords that a password file has for some of several servers."""

    _texts: tuple[tuple[str, int, str], ...]

    def __call__(self, login: Login) -> str:
        """The password for the login's server, or an empty one."""
        return next((text for host, port, text in self._texts if (host, port) == (login.host, login.port)), "")

    def __repr__(self) -> str:
        return "PasswordByServer(****)"


@dataclass(frozen=True, repr=False)
class Pem:
    """The text of a file in PEM format. It travels to the tasks, which do not have the driver's files."""

    path: str
    text: str

    def __repr__(self) -> str:
        return f"Pem({self.path!r})"


@dataclass(frozen=True)
class Tls:
    """How the connection is to be secured; the meanings are libpq's.

    Attributes:
        mode: one of SSL_MODES.
        roots: the certificate authorities to trust: a file's, SYSTEM_ROOTS, or None for what fits the host.
        certificate: our own certificate, with `key`, where the server wants one.
        key_password: of `key`, where it is encrypted.
    """

    mode: str = "prefer"
    roots: Pem | str | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    key_password: StaticPassword | None = None


@dataclass(frozen=True)
class Timeouts:
    """How long to wait for a connection, and how to notice that one is dead.

    Attributes:
        connect_timeout: seconds for one attempt at one server: network, TLS and login.
        deadline: seconds for all attempts together, while failures are of a kind that passes.
        keepalive: whether idle connections are probed.
        idle, interval, count: seconds of silence before the first probe, between probes, and probes until
            the connection counts as dead.
        user_timeout: seconds that sent data may stay unacknowledged (Linux's TCP_USER_TIMEOUT).
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
    """Where, as whom and how to connect.

    Attributes:
        servers: tried in turn.
        target_session_attrs: one of SESSION_ATTRS: what the session must be able to do.
        startup: server settings for the session, such as statement_timeout.
        login_hint: what to check when the server refuses the login, where that is not the usual.
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
        """The same for one server alone, such as the one that knows a snapshot."""
        return replace(self, servers=(server,), target_session_attrs="any")

    @property
    def address(self) -> str:
        """The database's identity for logs and errors: no user, no password."""
        return f"{','.join(map(str, self.servers))}/{self.dbname}"
