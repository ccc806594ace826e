"""Targets: everything that describes a connection. A refusal is an error of ours, which shows no secret."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from fuzz import libpq, texts
from fuzz.target import Target
from jobs.dbaccess.conninfo import airflow, keywords, libpq_files, secret_text, uri
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Login
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.errors import UsageError

SECRET = "pl4nted"  # noqa: S105 - to be searched for
URIS = texts.of(*uri.SCHEMES, "user", f":{SECRET}@", "host", ":5432", "/db", "?sslmode=require", "&", "%41", "ssl=true")


def refused(read: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever is read
    """Return what is read; None if it was correctly refused."""
    try:
        return read()
    except UsageError as error:
        assert SECRET not in f"{error!r}", "a secret is shown"
        return None


def read_uri(text: str) -> None:
    """A URI is read as libpq reads it, and its text form is parsed back to it."""
    stated = refused(lambda: uri.read_uri(text, "it"))
    if stated is None:
        return
    written = uri.write_uri(stated)
    assert refused(lambda: uri.read_uri(written, "it")) == stated
    spaced = set(text) & set(" \t\n\v\f\r")  # since version 18, libpq requires these to be escaped
    if not spaced and _is_c_text(text) and set(stated) <= keywords.SUPPORTED - set(keywords.STARTUP):
        theirs = libpq.parse(text)
        assert theirs is not None, "libpq refuses it"
        assert {name: value for name, value in theirs.items() if value and name in stated} == stated


def _is_c_text(text: str) -> bool:
    """Return whether libpq is available and its functions accept a text."""
    return libpq.library() is not None and "\0" not in text and "\ud800" not in text


def read_service(text: str) -> None:
    """A service is what libpq finds in the file."""
    stated = refused(lambda: libpq_files.read_service(text, "s", "it"))
    if stated is None or not _is_c_text(text) or not set(stated) <= keywords.SUPPORTED - set(keywords.STARTUP):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "service"
        path.write_bytes(text.encode())
        theirs, _ = libpq.resolved({"service": "s"}, {"PGSERVICEFILE": str(path), "PGSYSCONFDIR": folder})
    for name in ("host", "port", "dbname", "user", "password"):
        assert theirs.get(name, "") == stated.get(name, theirs.get(name, ""))


def find_password(value: tuple[str, str]) -> None:
    """The password from a file is the one that libpq finds in it."""
    text, user = value
    login = Login("127.0.0.1", 1, user, "db")
    ours = libpq_files.find_password(text, login)
    if not user or not _is_c_text(text + user):
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pgpass"
        path.write_bytes(text.encode())
        path.chmod(0o600)
        place = {"host": "127.0.0.1", "port": "1", "dbname": "db", "user": user, "passfile": str(path)}
        _, theirs = libpq.resolved(place, {})
    assert (ours or "") == (theirs or "")


def read_connection(text: str) -> None:
    """Airflow connections."""
    stated = refused(lambda: airflow.read_connection(text, "it"))
    assert stated is None or all(isinstance(value, str) for value in stated.values())


def read_stored(text: str) -> None:
    """Contents of AWS's secret stores."""
    stated = refused(lambda: secret_text.read_stored(text, "secret"))
    assert stated is None or stated["password"]


def startup_options(text: str) -> None:
    """The `options` of libpq."""
    try:
        found = keywords.startup_options(text)
    except ValueError:
        return
    assert all(name and isinstance(value, str) for name, value in found.items())


def resolve_all(value: tuple[dict[str, str], dict[str, str], str | None]) -> None:
    """Settings from any flags and environment. The table of them shows no secret."""
    values, environ, url = value
    resolved = refused(lambda: resolve(Given(values, url), {**environ, "PGPASSWORD": SECRET, "HOME": "/nonexistent"}))
    if resolved is not None:
        assert SECRET not in resolved.table() + repr(resolved)
        assert resolved.settings.timeouts.connect_timeout > 0
        assert all(0 < server.port < 1 << 16 for server in resolved.settings.servers)
        assert "\0" not in resolved.settings.dbname + resolved.settings.user
        f"{resolved.settings.dbname} {resolved.settings.user} {resolved.settings.startup}".encode()


LINES = texts.of("127.0.0.1", "localhost", "*", ":", "1", "db", "user", "\\:", "\n", "#", f"{SECRET}\n", size=20)
SERVICES = texts.of("[s]", "[t]", "\n", "\r\n", "#", "host=", "port=1", "dbname=db", "user=u", " ", "service=", size=20)
WORDS = st.none() | st.booleans() | st.integers() | st.floats() | texts.ANY
JSON = WORDS | st.lists(WORDS, max_size=3) | st.dictionaries(texts.ANY, WORDS | st.lists(WORDS, max_size=2), max_size=3)
FIELDS = ("conn_type", "login", "password", "host", "port", "schema", "extra", "engine", "username", "url", "dbname")
OBJECTS = st.dictionaries(st.sampled_from(FIELDS), JSON | st.just("postgres") | URIS, max_size=6).map(json.dumps)
DEEP = st.integers(1, 20_000).map(lambda depth: '{"conn_type": "postgres", "extra": ' + "[" * depth)
AIRFLOW = texts.of("postgres://", "user", f":{SECRET}@", "host", "?__extra__=", "{}", "%7B")
STORED = texts.of("{", "}", '"password": ', f'"{SECRET}"', '"conn_type": "postgres"', ",", *uri.SCHEMES)
PARAMETERS = sorted({*keywords.SUPPORTED, *keywords.HARMLESS})
VALUES = texts.of("a,b", "5432", "verify-full", "system", "any", "-c a=b", "/tmp", "/dev/null", size=3)  # noqa: S108 - only a name

TARGETS = [
    Target("uri", URIS, read_uri),
    Target("service_file", SERVICES, read_service),
    Target("password_file", st.tuples(LINES, texts.of("user", size=2)), find_password),
    Target(
        "airflow",
        texts.of("postgres://", "user", f":{SECRET}@", "host", "?__extra__=", "{}", "%7B") | OBJECTS | DEEP,
        read_connection,
    ),
    Target("stored_secret", STORED | OBJECTS | DEEP | URIS, read_stored),
    Target("startup_options", texts.of("-c", " ", "a=b", "--a-b=c", "\\ ", "\\\\"), startup_options),
    Target(
        "settings",
        st.tuples(
            texts.mapping(PARAMETERS, VALUES).map(lambda values: {"dbname": "d", "user": "u", **values}),
            texts.mapping([*keywords.VARIABLES.values()], VALUES),
            st.none() | URIS,
        ),
        resolve_all,
    ),
]
