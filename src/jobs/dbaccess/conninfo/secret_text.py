"""Passwords in a secret store such as AWS's: parsing a stored text, and reading it again.

The store is a callable that yields the text, newest first. This module does not know what is behind it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from jobs.dbaccess.conninfo import airflow, uri
from jobs.dbaccess.conninfo.settings import Login
from jobs.dbaccess.errors import UsageError

Texts = Callable[[], Iterable[str]]
"""Yields a stored text: the current one, then previous ones, as far as they are kept. Picklable."""

# libpq's name -> the keys in use for it, the strongest first, as `_plain` writes them. The first ones are those of AWS:
# https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
KEYS: Mapping[str, tuple[str, ...]] = {
    "host": ("host", "hostname", "endpoint", "dbhost", "pghost"),
    "port": ("port", "dbport", "pgport"),
    "dbname": ("dbname", "database", "db", "databasename", "pgdatabase"),
    "user": ("username", "user", "dbuser", "dbusername", "pguser"),
    "password": ("password", "dbpassword", "pgpassword"),
}
URL_KEYS = ("url", "uri", "databaseurl", "connectionstring")

ENGINES = ("postgres", "postgresql", "aurora-postgresql")
"""The names of PostgreSQL in AWS's secrets."""

_OTHER_URL = re.compile(r"[a-z][a-z0-9+.-]*(:[a-z]+)?://", re.IGNORECASE)
_BRACES = re.compile(r"\s*\{.*\}\s*", re.DOTALL)
_HOST_AND_PORT = re.compile(r"([^:]+):(\d+)")


@dataclass(frozen=True)
class StoredPassword:
    """A password that is read for each connection: after a rotation, the next connection uses the new one.

    Attributes:
        origin: The name of the secret, for errors.
    """

    origin: str
    texts: Texts

    def __call__(self, login: Login) -> str:
        """Return the password for a login.

        Raises:
            UsageError: The stored text is for another user, or contains no password.
        """
        other_users = []
        for text in self.texts():
            stated = read_stored(text, self.origin)
            user = stated.get("user", login.user)
            if user == login.user:
                return stated["password"]
            other_users.append(user)
        raise UsageError(
            f"The {self.origin} is for the user {other_users[0]!r}, and not for {login.user!r}.",
            "Leave out --user (and PGUSER), or name the secret with that user's password.",
        )


def read_stored(text: str, origin: str) -> dict[str, str]:
    """Return the parameters in a stored text, under libpq's names. They always include a password.

    The text may be JSON as AWS writes it or in other common spellings, an Airflow connection, a URL, or only the
    password.

    Args:
        text: The stored text.
        origin: The name of the secret, for errors. They show keys, and never values.

    Raises:
        UsageError: It contains no password, or is for another kind of database.
    """
    text = text.rstrip("\r\n")  # a text that was stored from a file ends in a newline
    fields = _json_object(text, origin)
    if fields is not None:
        stated = (
            airflow.read_connection(text, f"The {origin}") if "conn_type" in fields else _read_fields(fields, origin)
        )
        contents = f"It has the keys {', '.join(sorted(fields)) or '(none)'}"
    elif text.startswith(uri.SCHEMES):
        stated, contents = uri.read_uri(text, f"The {origin}"), "It is a URL without one"
    elif _OTHER_URL.match(text):
        raise UsageError(f"The {origin} is a URL, and not of PostgreSQL.", uri.HINT)
    else:
        stated, contents = {"password": text} if text.strip() else {}, "It is empty"
    if "password" not in stated:
        raise UsageError(f"The {origin} holds no password.", f'{contents}: store the password under "password".')
    return stated


def _json_object(text: str, origin: str) -> dict[str, object] | None:
    """Return the JSON object in a text; None for what is not JSON, or for a word or number, which is a password."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # the latter for JSON that is nested too deep
        if _BRACES.fullmatch(text):
            raise UsageError(f"The {origin} is in braces and is not JSON.", "Correct it.") from None
        return None
    return fields if isinstance(fields, dict) else None


def _read_fields(fields: Mapping[str, object], origin: str) -> dict[str, str]:
    engine = str(fields.get("engine") or ENGINES[0])
    if engine.lower() not in ENGINES:
        raise UsageError(f'The {origin} is for another engine, by its "engine".', "Name one for PostgreSQL.")
    given = {_plain(key): _as_text(value, key, origin) for key, value in fields.items() if _is_known(key)}
    stated = next(
        (uri.read_uri(given[key], f"The {origin}") for key in URL_KEYS if given.get(key, "").startswith(uri.SCHEMES)),
        {},
    )
    for name, keys in KEYS.items():
        text = next((given[key] for key in keys if given.get(key)), "")
        if text:
            stated[name] = text
    endpoint = _HOST_AND_PORT.fullmatch(stated.get("host", ""))
    if endpoint:  # Terraform's name for host:port
        stated = {"port": endpoint[2], **stated, "host": endpoint[1]}
    return stated


def _plain(key: str) -> str:
    """Return a key in a form that is the same for db_name, dbName and DB-NAME."""
    return re.sub("[_-]", "", key).lower()


def _is_known(key: str) -> bool:
    return _plain(key) in {*URL_KEYS, *(known for keys in KEYS.values() for known in keys)}


def _as_text(value: object, key: str, origin: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise UsageError(f"The {origin} has a {key!r} that is neither text nor a whole number.", "Correct it.")
    return str(value)
