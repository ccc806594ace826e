"""The sources of a connection: one order of precedence, in which each value keeps its origin.

    1. single values given explicitly                  --host, --port, --dbname, --user, --sslmode, ...; and the
                                                       password of --secret-id, --ssm-parameter or --iam-auth
    2. one complete connection, the first that is set  --database-url, --connection, --service,
                                                       else DATABASE_URL, else PGSERVICE
    3. libpq's environment variables                   PGHOST, PGPORT, ...
    4. the secret or parameter, beside its password    host, port, dbname, user
    5. the password file                               PGPASSFILE, else ~/.pgpass
    6. defaults

Source 2 is one connection: the others are not even read, so that parts of two never mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jobs.dbaccess.conninfo import airflow, keywords, libpq_files, uri
from jobs.dbaccess.conninfo.settings import PasswordSource
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import is_text

DATABASE_URL = "DATABASE_URL"
MASK = "****"
SECRETS = ("password", "sslpassword")


@dataclass(frozen=True)
class Credentials:
    """A password that is read or signed for each connection, and the other parameters of its secret store.

    Attributes:
        origin: The flag or the stored text from which it comes.
        stated: Other parameters, under libpq's names; None if the store cannot contain any.
        hint: What to check if the server rejects the login.
        needs_tls: Whether the password must not be sent in plain text, to any server.
    """

    origin: str
    password: PasswordSource
    stated: Mapping[str, str] | None = None
    hint: str = ""
    needs_tls: bool = False


@dataclass(frozen=True)
class Given:
    """What was given explicitly about a connection.

    Attributes:
        values: Single values, under libpq's names.
        url, connection, service: At most one of these: a complete connection.
        credentials: A password from a secret store. It precedes all others.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    connection: str | None = None
    service: str | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, repr=False)
class Value:
    """A parameter's text and its origin."""

    text: str
    origin: str

    def shown(self, name: str) -> str:
        """Return the text for display, masked if it is a secret."""
        return MASK if name in SECRETS else self.text

    def __repr__(self) -> str:
        return f"Value(from {self.origin!r})"


def gather(given: Given, environ: Mapping[str, str]) -> dict[str, Value]:
    """Return every parameter from the strongest source that states it.

    Raises:
        UsageError: A source is missing or cannot be read, or two complete connections were given.
    """
    gathered: dict[str, Value] = {}
    for source in _precedence(given, environ):
        of_source: dict[str, Value] = {}
        for origin, stated in source.read():
            for name, text in keywords.check_names(stated, origin).items():
                _check_text(name, text, origin)
                of_source.setdefault(name, Value(text, origin))
        gathered = {**_with_ports_apart(of_source), **gathered}
    return gathered


def _with_ports_apart(stated: Mapping[str, Value]) -> Mapping[str, Value]:
    """Return a source's parameters, with the ports that its hosts name (`h:5433`) as the parameter port.

    Raises:
        UsageError: The source also states another port.
    """
    host, port = stated.get("host"), stated.get("port")
    if host is None:
        return stated
    hosts, ports = keywords.hosts_and_ports(host.text)
    if not ports:
        return {**stated, "host": Value(hosts, host.origin)}
    if port is not None and port.text != ports:
        raise UsageError(f"{host.origin} names port {ports}, and {port.origin} names port {port.text}.", "Give one.")
    return {**stated, "host": Value(hosts, host.origin), "port": Value(ports, host.origin)}


def tried(given: Given, environ: Mapping[str, str], names: Sequence[str]) -> str:
    """Return the sources that were read for missing values, for the error."""
    return ", ".join(place for source in _precedence(given, environ) for place in source.places(names))


def _check_text(name: str, text: str, origin: str) -> None:
    if not is_text(text) and ("\0" in text or name not in _PATHS):
        raise UsageError(f"{name} (from {origin}) contains NUL, or bytes that are not UTF-8.", "Correct it there.")


_PATHS = ("passfile", "sslrootcert", "sslcert", "sslkey")
"""Parameters that are file names, which may contain any bytes."""

Stated = tuple[str, Mapping[str, str]]
"""An origin, and the parameters that it states."""


@dataclass(frozen=True)
class _Source:
    """A step in the order of precedence.

    Attributes:
        read: Returns the parameters that the source states.
        places: Where it looks for values of these names.
    """

    read: Callable[[], Iterable[Stated]]
    places: Callable[[Sequence[str]], Iterable[str]]


def _precedence(given: Given, environ: Mapping[str, str]) -> Iterator[_Source]:
    """Return the sources, the strongest first."""
    yield _Source(
        lambda: ((f"--{name}", {name: text}) for name, text in given.values.items()),
        lambda names: (f"--{name}" for name in names),
    )
    yield _whole_connection(given, environ)
    yield _Source(
        lambda: (
            (variable, {name: environ[variable]})
            for name, variable in keywords.VARIABLES.items()
            if environ.get(variable)
        ),
        lambda names: (keywords.VARIABLES[name] for name in names),
    )
    stored = given.credentials
    if stored is not None and stored.stated is not None:
        stated = (stored.origin, stored.stated)
        yield _Source(lambda: [stated], lambda _: [f"{stored.origin} (does not state it)"])


@dataclass(frozen=True)
class _Whole:
    """A way to name one complete connection.

    Attributes:
        flag: The flag or variable.
        named: Its value; None if it is not set.
        read: Returns the parameters of the connection with that name.
    """

    flag: str
    named: str | None
    read: Callable[[str], Stated]

    def source(self, named: str) -> _Source:
        """Return the connection with that name. A URL is not shown, because it may contain a password."""
        place = f"{self.flag} {named}" if self.flag in ("--connection", "--service") else self.flag
        return _Source(lambda: [self.read(named)], lambda _: [f"{place} (does not state it)"])


def _whole_connection(given: Given, environ: Mapping[str, str]) -> _Source:
    """Return the one connection that counts: of a flag, or else of a variable.

    Raises:
        UsageError: Two flags are set.
    """

    def of_variable(connection_id: str) -> Stated:
        variable = airflow.variable_of(connection_id)
        if not environ.get(variable, "").strip():
            raise UsageError(
                f"There is no connection {connection_id!r}: {variable} is not set.", "Set it, or name another."
            )
        return variable, airflow.read_connection(environ[variable], variable)

    def of_service(name: str) -> Stated:
        stated, path = libpq_files.find_service(name, libpq_files.service_files(environ))
        return f"service {name} in {libpq_files.shown(path, environ)}", stated

    def of_url(origin: str) -> Callable[[str], Stated]:
        return lambda url: (origin, uri.read_uri(url, origin))

    ways = (
        _Whole("--database-url", given.url, of_url("--database-url")),
        _Whole("--connection", given.connection, of_variable),
        _Whole("--service", given.service, of_service),
        _Whole(DATABASE_URL, environ.get(DATABASE_URL) or None, of_url(DATABASE_URL)),
        _Whole("PGSERVICE", environ.get("PGSERVICE") or None, of_service),
    )
    flags = [way.flag for way in ways[:3] if way.named is not None]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags)} were given.", "Give one of them.")
    nothing = _Source(list, lambda _: [way.flag for way in ways])
    return next((way.source(way.named) for way in ways if way.named is not None), nothing)


def passfile_text(gathered: Mapping[str, Value], environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the password file's text and path, if no stronger source states the password."""
    stated = gathered.get("passfile")
    path = stated.text if stated else libpq_files.password_file(environ)
    return (libpq_files.read_password_file(Path(path)), path) if path else ("", "")
