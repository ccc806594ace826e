"""Which source states which value of a connection: one precedence, and each value remembers where it came from.

    1. single values given explicitly                  --host, --port, --dbname, --user, --sslmode, ...; and the
                                                       password of --secret-id, --ssm-parameter or --iam-auth
    2. one whole connection, the first that is named   --database-url, --connection, --service,
                                                       else DATABASE_URL, else PGSERVICE
    3. libpq's environment variables                   PGHOST, PGPORT, ...
    4. what the secret or parameter states beside      host, port, dbname, user
    5. the password file                               PGPASSFILE, else ~/.pgpass
    6. defaults

Of 2, one connection counts: those that are not chosen are not even read, so that the parts of two never mix.
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
    """A password that is read or signed for each connection, and what its secret store states beside it.

    Attributes:
        origin: the flag or the stored text that it comes from.
        stated: other parameters, under libpq's names; None where there is nothing that might state them.
        hint: what to check when the server refuses the login.
        needs_tls: whether the password must not travel in plain text, whatever the server is.
    """

    origin: str
    password: PasswordSource
    stated: Mapping[str, str] | None = None
    hint: str = ""
    needs_tls: bool = False


@dataclass(frozen=True)
class Given:
    """What a job was told explicitly about its connection.

    Attributes:
        values: single values, under libpq's names.
        url, connection, service: at most one of these: a whole connection.
        credentials: a password from elsewhere; it counts before all others.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    connection: str | None = None
    service: str | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, repr=False)
class Value:
    """A parameter's text, and who stated it."""

    text: str
    origin: str

    def shown(self, name: str) -> str:
        """The text for people, masked where it is a secret."""
        return MASK if name in SECRETS else self.text

    def __repr__(self) -> str:
        return f"Value(from {self.origin!r})"


def gather(given: Given, environ: Mapping[str, str]) -> dict[str, Value]:
    """Every parameter that a source states, from the strongest source that does.

    Raises:
        UsageError: a source is missing or cannot be read, or two whole connections were given.
    """
    gathered: dict[str, Value] = {}
    for source in _precedence(given, environ):
        for origin, stated in source.read():
            for name, text in keywords.check_names(stated, origin).items():
                _check_text(name, text, origin)
                gathered.setdefault(name, Value(text, origin))
    return gathered


def tried(given: Given, environ: Mapping[str, str], names: Sequence[str]) -> str:
    """The sources that were read for values that are missing, for the error."""
    return ", ".join(place for source in _precedence(given, environ) for place in source.places(names))


def _check_text(name: str, text: str, origin: str) -> None:
    if not is_text(text) and ("\0" in text or name not in _PATHS):
        raise UsageError(f"{name} (from {origin}) holds NUL, or bytes that are not UTF-8.", "Correct it there.")


_PATHS = ("passfile", "sslrootcert", "sslcert", "sslkey")
"""Parameters that name files, whose names may be any bytes."""

Stated = tuple[str, Mapping[str, str]]
"""An origin, and the parameters that it states."""


@dataclass(frozen=True)
class _Source:
    """A step of the precedence.

    Attributes:
        read: gives what is stated there.
        places: where values of these names were looked for.
    """

    read: Callable[[], Iterable[Stated]]
    places: Callable[[Sequence[str]], Iterable[str]]


def _precedence(given: Given, environ: Mapping[str, str]) -> Iterator[_Source]:
    """The sources, the strongest first."""
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
    """A way to name one whole connection.

    Attributes:
        flag: the flag or variable.
        named: what was given there; None where nothing was.
        read: gives what the connection of that name states.
    """

    flag: str
    named: str | None
    read: Callable[[str], Stated]

    def source(self, named: str) -> _Source:
        """The connection of that name. A URL is not shown, for it may hold a password."""
        place = f"{self.flag} {named}" if self.flag in ("--connection", "--service") else self.flag
        return _Source(lambda: [self.read(named)], lambda _: [f"{place} (does not state it)"])


def _whole_connection(given: Given, environ: Mapping[str, str]) -> _Source:
    """The one connection that counts: of a flag, else of a variable.

    Raises:
        UsageError: two flags name one each.
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
    """The password file's text and path, where no stronger source states the password."""
    stated = gathered.get("passfile")
    path = stated.text if stated else libpq_files.password_file(environ)
    return (libpq_files.read_password_file(Path(path)), path) if path else ("", "")
