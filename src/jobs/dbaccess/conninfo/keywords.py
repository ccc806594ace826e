"""libpq's connection parameters: the supported ones, and how each text becomes a value.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from jobs.dbaccess.conninfo.settings import SESSION_ATTRS, SSL_MODES
from jobs.dbaccess.errors import UsageError

T = TypeVar("T")
Parser = Callable[[str], T]

# Parameter -> libpq's environment variable.
VARIABLES: Mapping[str, str] = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}

SUPPORTED = frozenset(
    {
        *VARIABLES,
        "sslpassword",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "tcp_user_timeout",
        "client_encoding",
        "fallback_application_name",
        # Server settings, which libpq accepts only inside `options`.
        "search_path",
        "statement_timeout",
        "lock_timeout",
    }
)

STARTUP = ("search_path", "statement_timeout", "lock_timeout")
"""Server settings that can be given like parameters."""

# Parameters of libpq that have no effect here with these values, and cannot be supported with others.
HARMLESS: Mapping[str, frozenset[str]] = {
    "channel_binding": frozenset({"prefer"}),
    "client_encoding": frozenset({"auto", "utf8", "utf-8", "unicode"}),
    "gssencmode": frozenset({"disable", "prefer"}),
    "load_balance_hosts": frozenset({"disable"}),
    "sslcompression": frozenset({"0"}),
    "sslnegotiation": frozenset({"postgres"}),
    "sslsni": frozenset({"1"}),
}


def check_names(stated: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return the parameters without those that have no effect.

    Raises:
        UsageError: A parameter is unknown, or requests something that is not supported.
    """
    kept = {name: text for name, text in stated.items() if text.lower() not in HARMLESS.get(name, frozenset())}
    unknown = sorted(name for name in kept if name not in SUPPORTED - set(HARMLESS))
    if unknown:
        raise UsageError(
            f"{origin} has parameters that are not supported: {', '.join(unknown)}.",
            f"Leave them out. Supported: {', '.join(sorted(SUPPORTED - set(HARMLESS)))}.",
        )
    return kept


def one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    """Return a parser that accepts only these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text

    return parse


def whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    """Return a parser that accepts a decimal number within limits."""

    def parse(text: str) -> int:
        digits = text.strip()
        is_short = len(digits) <= len(str(highest))  # int() accepts at most 4,300 of them
        if not (digits.isascii() and digits.isdigit() and is_short and lowest <= int(digits) <= highest):
            raise ValueError(f"must be a whole number from {lowest} to {highest}")
        return int(digits)

    return parse


ssl_mode = one_of(SSL_MODES)
session_attrs = one_of(SESSION_ATTRS)
port = whole_number(1, 65535)
seconds = whole_number(0, 2_147_483)
milliseconds = whole_number(0, 2_147_483_647)
flag = one_of(("0", "1"))


def parsed(name: str, text: str, origin: str, parse: Parser[T]) -> T:
    """Return a parameter's value.

    Raises:
        UsageError: The text is not a valid value. It is shown, because none of these is a secret.
    """
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError(f"{name} {error}, not {text!r} (from {origin}).", "Correct it there.") from None


_HOST_AND_PORT = re.compile(r"(?:\[([^\[\]]*)\]|([^/:\[\]][^:\[\]]*))(?::([0-9]*))?")


def hosts_and_ports(text: str) -> tuple[str, str]:
    """Return a list of hosts without the ports that it names, and these; the latter is empty if there are none.

    `a:1,[::1]:2,c` becomes `a,::1,c` and `1,2,`. An address of IPv6 has a port only after brackets, a path never.
    """
    pairs = [
        (match[1] or match[2] or "", match[3] or "") if match else (host, "")
        for host in text.split(",")
        for match in [_HOST_AND_PORT.fullmatch(host)]
    ]
    ports = ",".join(port for _, port in pairs)
    return ",".join(host for host, _ in pairs), ports if ports.strip(",") else ""


def startup_options(text: str) -> dict[str, str]:
    r"""Return the server settings in libpq's `options`: `-c name=value --name=value`, with `\ ` for a space.

    Raises:
        ValueError: The text contains something else.
    """
    words = [word.replace("\0", " ") for word in text.replace("\\\\", "\1").replace("\\ ", "\0").split()]
    words = [word.replace("\1", "\\") for word in words]
    options: dict[str, str] = {}
    while words:
        word = words.pop(0)
        if word == "-c" and words:
            word = words.pop(0)
        elif word.startswith("-c"):
            word = word[2:]
        elif word.startswith("--"):
            word = word[2:].replace("-", "_")
        else:
            raise ValueError("must be of the form -c name=value")
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise ValueError("must be of the form -c name=value")
        options[name] = value
    return options
