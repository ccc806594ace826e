"""Parses Airflow connections, as URI and as JSON, by Airflow's own rules.

https://airflow.apache.org/docs/apache-airflow/stable/howto/connection.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from jobs.dbaccess.errors import UsageError

CONNECTION_TYPES = ("postgres", "postgresql")

# Extras that the hook of Airflow's provider uses itself, and does not pass to the driver.
_HOOKS_OWN = frozenset(
    {
        "aws_conn_id",
        "azure_conn_id",
        "cluster-identifier",
        "cursor",
        "sqlalchemy_query",
        "sqlalchemy_scheme",
        "workgroup-name",
    }
)
# Extras that select another kind of login than by password.
_OTHER_LOGINS = ("iam", "redshift", "redshift-serverless")

_JSON_FIELDS = frozenset(
    {"conn_type", "login", "password", "host", "port", "schema", "extra", "description", "conn_id", "team_name"}
)
# Airflow's name -> libpq's name.
_NAMES = {"login": "user", "password": "password", "host": "host", "port": "port", "schema": "dbname"}


def variable_of(connection_id: str) -> str:
    """Return the environment variable of a connection."""
    return f"AIRFLOW_CONN_{connection_id.upper()}"


def read_connection(value: str, origin: str) -> dict[str, str]:
    """Return the parameters of a connection, under libpq's names.

    Args:
        value: The variable's text: JSON if it begins with "{", otherwise a URI.
        origin: The variable's name, for errors. They do not show the value, which may contain a password.

    Raises:
        UsageError: It is neither, is not for PostgreSQL, or requires another login than by password.
    """
    text = value.strip()
    stated, extra = _read_json(text, origin) if text.startswith("{") else _read_uri(text, origin)
    for name in _OTHER_LOGINS:
        if str(extra.get(name, "")).lower() not in ("", "false", "0", "no", "none"):
            raise UsageError(
                f"{origin} requests the login {name!r} in its extras.", "Use a connection with a password."
            )
    passed_on = {
        name: _as_text(item, name, origin)
        for name, item in extra.items()
        if name not in _HOOKS_OWN and name not in _OTHER_LOGINS
    }
    return {name: text for name, text in {**stated, **passed_on}.items() if text}


def _check_type(connection_type: str, origin: str) -> None:
    if connection_type.lower() not in CONNECTION_TYPES:
        raise UsageError(f"{origin} is not a connection to PostgreSQL.", "Its conn_type must be postgres.")


def _read_json(text: str, origin: str) -> tuple[dict[str, str], Mapping[str, object]]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):  # the latter for JSON that is nested too deep
        raise UsageError(f"{origin} begins with a brace and is not JSON.", "Correct it.") from None
    unknown = sorted(set(fields) - _JSON_FIELDS) if isinstance(fields, dict) else ["no object"]
    if unknown:
        raise UsageError(f"{origin} has fields that a connection does not: {', '.join(unknown)}.", "Remove them.")
    _check_type(str(fields.get("conn_type") or ""), origin)
    stated = {
        name: _as_text(fields[field], field, origin) for field, name in _NAMES.items() if fields.get(field) is not None
    }
    return stated, _extra(fields.get("extra"), origin)


def _extra(extra: object, origin: str) -> Mapping[str, object]:
    """Return extras from an object, or from a string that contains one."""
    if isinstance(extra, str) and extra.strip():
        try:
            extra = json.loads(extra)
        except (ValueError, RecursionError):
            raise UsageError(f"{origin} has an extra that is not JSON.", "Make it a JSON object.") from None
    if extra is None or extra == "":
        return {}
    if not isinstance(extra, dict):
        raise UsageError(f"{origin} has an extra that is not a JSON object.", "Make it one.")
    return extra


def _read_uri(text: str, origin: str) -> tuple[dict[str, str], Mapping[str, object]]:
    """Parse Airflow's URI. It differs from libpq's: extras may be in `__extra__`, and the host is in lower case."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(f"{origin} is not a connection's URI.", "Escape : / @ ? # in its parts.") from None
    _check_type(parts.scheme.replace("-", "_"), origin)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    stated = {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": unquote(_host(parts.netloc, parts.hostname)),
        "port": str(port) if port is not None else "",
        "dbname": unquote(parts.path[1:]),
    }
    return stated, _extra(query["__extra__"], origin) if "__extra__" in query else query


def _host(netloc: str, hostname: str | None) -> str:
    """Return the host, still escaped. The path of a socket keeps its case, as in Airflow."""
    exact = netloc.rpartition("@")[2].rpartition(":")[0] or netloc.rpartition("@")[2]
    return exact if "/" in unquote(exact) else hostname or ""


def _as_text(item: object, name: str, origin: str) -> str:
    """Return a JSON value as libpq writes it."""
    if isinstance(item, bool):
        return str(int(item))
    if isinstance(item, (str, int, float)):
        return str(item)
    if item is None:
        return ""
    raise UsageError(f"{origin} has a {name!r} that is neither text nor a number.", "Correct it.")
