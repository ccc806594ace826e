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

from collections.abc import Iterable, Mapping
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
    """A password that is fetched or made for each connection, and what its keeper states beside it.

    Attributes:
        origin: who keeps it.
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
    for origin, stated in _sources(given, environ):
        for name, text in keywords.check_names(stated, origin).items():
            if not is_text(text) and ("\0" in text or name not in _PATHS):
                raise UsageError(f"{name} (from {origin}) holds NUL, or bytes that are not UTF-8.", "Correct it there.")
            gathered.setdefault(name, Value(text, origin))
    return gathered


_PATHS = ("passfile", "sslrootcert", "sslcert", "sslkey")
"""What names files, by whatever bytes."""


def _sources(given: Given, environ: Mapping[str, str]) -> Iterable[tuple[str, Mapping[str, str]]]:
    """The sources, strongest first, each with its name."""
    for name, text in given.values.items():
        yield f"--{name}", {name: text}
    yield from _whole_connection(given, environ)
    for name, variable in keywords.ENVIRONMENT.items():
        if environ.get(variable):
            yield variable, {name: environ[variable]}
    if given.credentials is not None and given.credentials.stated is not None:
        yield given.credentials.origin, given.credentials.stated


def _whole_connection(given: Given, environ: Mapping[str, str]) -> Iterable[tuple[str, Mapping[str, str]]]:
    named = {"--database-url": given.url, "--connection": given.connection, "--service": given.service}
    chosen = [flag for flag, text in named.items() if text is not None]
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} were given.", "Give one of them.")
    if given.url is not None:
        yield "--database-url", uri.read_uri(given.url, "--database-url")
    elif given.connection is not None:
        variable = airflow.variable_of(given.connection)
        if not environ.get(variable, "").strip():
            raise UsageError(
                f"There is no connection {given.connection!r}: {variable} is not set.", "Set it, or name another."
            )
        yield variable, airflow.read_connection(environ[variable], variable)
    elif given.service is not None or (not environ.get(DATABASE_URL) and environ.get("PGSERVICE")):
        name = given.service or environ["PGSERVICE"]
        stated, path = libpq_files.find_service(name, libpq_files.service_files(environ))
        yield f"service {name} in {libpq_files.shown(path, environ)}", stated
    elif environ.get(DATABASE_URL):
        yield DATABASE_URL, uri.read_uri(environ[DATABASE_URL], DATABASE_URL)


def tried(given: Given, environ: Mapping[str, str], names: Iterable[str]) -> str:
    """What was looked at for values that are missing, for the error."""
    whole = next(
        (
            source
            for source, there in {
                "--database-url": given.url,
                f"--connection {given.connection}": given.connection,
                f"--service {given.service}": given.service,
                DATABASE_URL: environ.get(DATABASE_URL),
                "PGSERVICE": environ.get("PGSERVICE"),
            }.items()
            if there
        ),
        "",
    )
    wholes = (
        [f"{whole} (does not state it)"] if whole else ["--database-url", "--connection", "--service", DATABASE_URL]
    )
    singles = [item for name in names for item in (f"--{name}", keywords.ENVIRONMENT[name])]
    keeper = given.credentials
    kept = [f"{keeper.origin} (does not state it)"] if keeper is not None and keeper.stated is not None else []
    return ", ".join([*singles[::2], *wholes, *singles[1::2], *kept])


def passfile_text(gathered: Mapping[str, Value], environ: Mapping[str, str]) -> tuple[str, str]:
    """The password file's text and path, where no stronger source states the password."""
    stated = gathered.get("passfile")
    path = stated.text if stated else libpq_files.password_file(environ)
    return (libpq_files.read_password_file(Path(path)), path) if path else ("", "")
