"""PostgreSQL's connection URIs: parsed as libpq parses them, and written.

    postgresql://user:password@host:5432,other:5433/dbname?sslmode=verify-full

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import is_text

SCHEMES = ("postgresql://", "postgres://")

# Each part ends where libpq ends it. A password may contain anything but "@" and "/" unescaped.
_URI = re.compile(
    r"(?:(?P<user>[^:@/]*)(?::(?P<password>[^@/]*))?@)?"
    r"(?P<hosts>[^/?]*)"
    r"(?:/(?P<dbname>[^?]*))?"
    r"(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST = re.compile(r"(?:\[(?P<literal>[^\]]*)\]|(?P<host>[^:\[\]]*))(?::(?P<port>[^:]*))?")

HINT = "Write postgresql://user@host:5432/dbname; in a part, write @ : / ? # % & = as %40 %3A %2F %3F %23 %25 %26 %3D."


def read_uri(uri: str, origin: str) -> dict[str, str]:
    """Return the parameters in a URI, unescaped, under libpq's names. Several hosts are joined by commas.

    Args:
        uri: The URI.
        origin: Its origin, for errors. They do not show the URI, because it may contain a password.

    Raises:
        UsageError: It is not such a URI.
    """
    scheme = next((scheme for scheme in SCHEMES if uri.startswith(scheme)), None)
    match = _URI.fullmatch(uri[len(scheme) :]) if scheme else None
    # libpq accepts "/" or "@" in a dbname unescaped. Here they indicate a password with an unescaped "/", parts of
    # which would be shown as host, port and dbname.
    if match is None or re.search("[/@]", match["dbname"] or ""):
        raise UsageError(f"{origin} is not a URI of PostgreSQL.", HINT)
    stated = {name: _unescaped(match[name] or "", origin) for name in ("user", "password", "dbname")}
    stated.update(_read_hosts(match["hosts"], origin))
    stated.update(_read_query(match["query"] or "", origin))
    return {name: text for name, text in stated.items() if text}


def states_password(uri: str) -> bool:
    """Return whether a URI contains a password. One that cannot be parsed counts as containing one."""
    try:
        return "password" in read_uri(uri, "")
    except UsageError:
        return True


def write_uri(stated: Mapping[str, str]) -> str:
    """Return the URI for these parameters."""
    query = "&".join(f"{_escaped(name)}={_escaped(text)}" for name, text in stated.items() if name not in _IN_PLACE)
    login = _escaped(stated.get("user", ""))
    if "password" in stated:
        login += f":{_escaped(stated['password'])}"
    hosts = stated.get("host", "").split(",")
    ports = stated.get("port", "").split(",")
    places = [
        _written_host(host) + (f":{port}" if port else "")
        for host, port in zip(hosts, ports * len(hosts) if len(ports) == 1 else ports)
    ]
    return (
        SCHEMES[0]
        + (f"{login}@" if login else "")
        + ",".join(places)
        + (f"/{_escaped(stated['dbname'])}" if "dbname" in stated else "")
        + (f"?{query}" if query else "")
    )


_IN_PLACE = ("user", "password", "host", "port", "dbname")


def _written_host(host: str) -> str:
    return f"[{host}]" if ":" in host else _escaped(host)


def _escaped(text: str) -> str:
    return quote(text, safe="")


def _read_hosts(text: str, origin: str) -> dict[str, str]:
    """Parse `host:port,host:port`. As in libpq, a list of ports is stated if any host has one."""
    matches = [_HOST.fullmatch(part) for part in text.split(",")]
    hosts: list[str] = []
    ports: list[str] = []
    for match in matches:
        if match is None or not re.fullmatch("[0-9]*", match["port"] or ""):
            raise UsageError(f"{origin} has a host or port that cannot be read.", HINT)
        hosts.append(_unescaped(match["literal"] or match["host"] or "", origin))
        ports.append(_unescaped(match["port"] or "", origin))
    return {"host": ",".join(hosts) if any(hosts) else "", "port": ",".join(ports) if any(ports) else ""}


def _read_query(text: str, origin: str) -> dict[str, str]:
    stated: dict[str, str] = {}
    for piece in filter(None, text.split("&")):
        name, equals, value = piece.partition("=")
        if not equals or "=" in value:
            raise UsageError(f"{origin} has a parameter that is not of the form name=value.", HINT)
        stated[_unescaped(name, origin)] = _unescaped(value, origin)
    if stated.get("ssl") == "true":  # JDBC's parameter, which libpq accepts in URIs, too, with this value only
        del stated["ssl"]
        stated.setdefault("sslmode", "require")
    return stated


def _unescaped(text: str, origin: str) -> str:
    """Decode %XX. A plus sign stands for itself.

    Raises:
        UsageError: A % has no digits, or stands for NUL or for invalid UTF-8.
    """
    if re.search(r"%(?![0-9A-Fa-f]{2})|%00|\0", text):
        raise UsageError(f"{origin} has a % that is not followed by two hexadecimal digits, or a NUL.", HINT)
    if not is_text(text):
        raise UsageError(f"{origin} has bytes that are not UTF-8.", HINT)
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise UsageError(f"{origin} has escapes that are not UTF-8.", HINT) from None
