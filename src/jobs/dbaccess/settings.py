"""What a connection needs, as one frozen value, and how to read it from a URL, options and the environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote, urlsplit

from jobs.dbaccess.errors import UsageError

DEFAULT_PORT = 5432
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, repr=False)
class StaticPassword:
    """A password that is known already. Calling it gives the text; nothing else shows it."""

    _text: str

    def __call__(self) -> str:
        """The password itself."""
        return self._text

    def __repr__(self) -> str:
        return "StaticPassword(****)"


@dataclass(frozen=True)
class Settings:
    """Where and as whom to connect. It is picklable: tasks take it along and connect on their own.

    Attributes:
        host: a name, an address, or a directory with a Unix socket (it begins with "/").
        password: called for each connection where it is opened, so that one which expires is fetched anew.
    """

    host: str = "localhost"
    port: int = DEFAULT_PORT
    dbname: str = ""
    user: str = ""
    password: Callable[[], str] | None = None

    @property
    def address(self) -> str:
        """The database's identity for logs and errors: no user, no password."""
        return f"{self.host}:{self.port}/{self.dbname}"


def settings_from(explicit: Mapping[str, str | None], environ: Mapping[str, str]) -> Settings:
    """Settle each value: the explicit options, then the URL (`url`), then libpq's environment variables.

    Args:
        explicit: host, port, dbname, user, url; None where nothing was said.
        environ: PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD are read.

    Raises:
        UsageError: a value cannot be right, or user or database is missing.
    """
    url = explicit.get("url")
    told: dict[str, str] = {name: environ[variable] for name, variable in _ENVIRONMENT.items() if environ.get(variable)}
    told.update(read_url(url) if url else {})
    told.update({name: value for name, value in explicit.items() if value is not None and name != "url"})
    missing = [name for name in ("dbname", "user") if name not in told]
    if missing:
        raise UsageError(
            f"There is no {' and no '.join(missing)} to connect with.",
            "Give --database-url postgresql://user@host:5432/dbname, or --host, --port, --dbname and --user, "
            "or PGHOST, PGPORT, PGDATABASE and PGUSER.",
        )
    settings = Settings(dbname=told["dbname"], user=told["user"])
    if "password" in told:
        settings = replace(settings, password=StaticPassword(told["password"]))
    return replace(
        settings,
        host=told.get("host", settings.host),
        port=_port(told["port"]) if "port" in told else settings.port,
    )


_ENVIRONMENT = {
    "host": "PGHOST",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
}


def read_url(url: str) -> dict[str, str]:
    """The values that a URL `postgresql://user:password@host:port/dbname?host=...` states, unescaped.

    Raises:
        UsageError: it is not such a URL. The message does not show it, for it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError(_NOT_A_URL, _URL_HINT) from None
    if parts.scheme not in SCHEMES or parts.fragment:
        raise UsageError(_NOT_A_URL, _URL_HINT)
    stated = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": unquote(parts.hostname or ""),
        "port": str(port) if port is not None else "",
        "dbname": unquote(parts.path[1:]),
    }
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    unknown = sorted(set(query) - set(stated))
    if unknown:
        raise UsageError(f"The database URL has parameters that are not known: {', '.join(unknown)}.", _URL_HINT)
    return {name: value for name, value in {**stated, **query}.items() if value}


_NOT_A_URL = "The database URL cannot be read."
_URL_HINT = "Write postgresql://user@host:5432/dbname; escape @ : / ? # % in a part as %40 %3A %2F %3F %23 %25."


def _port(text: str) -> int:
    """A port number from text."""
    if text.isascii() and text.isdigit() and 1 <= int(text) <= 65535:  # noqa: PLR2004 - the range of TCP ports
        return int(text)
    raise UsageError(f"{text!r} is not a port number.", "Give a number from 1 to 65535.")
