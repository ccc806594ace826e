"""Combines the sources to the settings of a connection, and to a table that shows the origin of each value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.dbaccess.conninfo import keywords, libpq_files, sources
from jobs.dbaccess.conninfo.rds_hosts import is_rds
from jobs.dbaccess.conninfo.settings import (
    DEFAULT_PORT,
    SYSTEM_ROOTS,
    Login,
    PasswordByServer,
    PasswordSource,
    Pem,
    Server,
    Settings,
    StaticPassword,
    Timeouts,
    Tls,
)
from jobs.dbaccess.conninfo.sources import Given, Value
from jobs.dbaccess.errors import UsageError


@dataclass(frozen=True)
class Resolved:
    """Settings, and the origin of each of their values."""

    settings: Settings
    values: Mapping[str, Value]

    def table(self) -> str:
        """Return values and origins as a table. Secrets are masked."""
        rows = [("parameter", "value", "from")]
        rows += [(name, value.shown(name), value.origin) for name, value in sorted(self.values.items())]
        widths = [max(len(row[column]) for row in rows) for column in range(2)]
        return "".join(f"{name:{widths[0]}}  {text:{widths[1]}}  {origin}\n" for name, text, origin in rows)


def resolve(given: Given, environ: Mapping[str, str]) -> Resolved:
    """Determine a connection's settings.

    Args:
        given: What was given explicitly.
        environ: The environment variables; HOME locates libpq's files.

    Raises:
        UsageError: A value is missing or wrong. The message lists the sources that were tried.
    """
    values = sources.gather(given, environ)
    missing = [name for name in ("dbname", "user") if name not in values]
    if missing:
        raise UsageError(
            f"There is no {' and no '.join(missing)} to connect with.",
            f"Tried: {sources.tried(given, environ, missing)}. Give one of these.",
        )
    reader = _Reader(values)
    servers = _servers(reader)
    needs_tls = given.credentials.origin if given.credentials and given.credentials.needs_tls else ""
    values = {**values, **_defaults(values, servers, needs_tls)}
    _check_tls(values["sslmode"], needs_tls)
    reader = _Reader(values)
    settings = Settings(
        dbname=values["dbname"].text,
        user=values["user"].text,
        servers=servers,
        tls=_tls(reader, environ),
        target_session_attrs=reader.read("target_session_attrs", keywords.session_attrs, "any"),
        application_name=reader.text("application_name") or reader.text("fallback_application_name"),
        startup=_startup(reader),
        timeouts=_timeouts(reader),
        login_hint=given.credentials.hint if given.credentials else "",
    )
    password, origin = _password(given, values, settings, environ)
    if origin:
        values["password"] = Value("", origin)
    return Resolved(replace(settings, password=password), values)


@dataclass(frozen=True)
class _Reader:
    """Values by name, parsed."""

    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        return self.values[name].text if name in self.values else ""

    def read(self, name: str, parse: keywords.Parser[keywords.T], default: keywords.T) -> keywords.T:
        if not self.text(name):
            return default
        return keywords.parsed(name, self.text(name), self.values[name].origin, parse)


def _servers(reader: _Reader) -> tuple[Server, ...]:
    """Return the servers in lists of hosts, addresses and ports. A single port applies to all hosts."""
    hosts = reader.text("host").split(",")
    addresses = reader.text("hostaddr").split(",")
    ports = reader.text("port").split(",")
    count = max(len(hosts), len(addresses))
    lists = {"host": hosts, "hostaddr": addresses, "port": ports}
    uneven = [
        name
        for name, items in lists.items()
        if items != [""] and len(items) not in ({count, 1} if name == "port" else {count})
    ]
    if uneven:
        raise UsageError(f"There are {count} hosts, but {uneven[0]} has {len(lists[uneven[0]])}.", "Give one for each.")
    return tuple(
        Server(host or address or "localhost", _port(port, reader), address)
        for host, address, port in zip(_stretched(hosts, count), _stretched(addresses, count), _stretched(ports, count))
    )


def _stretched(items: list[str], count: int) -> list[str]:
    return items * count if len(items) == 1 else items


def _port(text: str, reader: _Reader) -> int:
    return keywords.parsed("port", text, reader.values["port"].origin, keywords.port) if text else DEFAULT_PORT


def _defaults(values: Mapping[str, Value], servers: tuple[Server, ...], needs_tls: str) -> dict[str, Value]:
    """Return the defaults that are worth showing."""
    on_rds = any(is_rds(server.host) for server in servers)
    system = values.get("sslrootcert", Value("", "")).text == SYSTEM_ROOTS
    ssl_mode = (
        Value("verify-full", "default for RDS")
        if on_rds
        else Value("verify-full", "default for sslrootcert=system")
        if system
        else Value("verify-full", f"default for {needs_tls}")
        if needs_tls
        else Value("prefer", "default")
    )
    defaults = {
        "host": Value(",".join(server.host for server in servers), "default"),
        "port": Value(str(DEFAULT_PORT), "default"),
        "sslmode": ssl_mode,
    }
    return {name: value for name, value in defaults.items() if name not in values}


def _check_tls(mode: Value, needs_tls: str) -> None:
    if needs_tls and mode.text in ("disable", "allow", "prefer"):
        raise UsageError(
            f"{needs_tls} needs TLS, and sslmode={mode.text} (from {mode.origin}) allows plain text.",
            "Omit it, which means verify-full, or set require.",
        )


def _tls(reader: _Reader, environ: Mapping[str, str]) -> Tls:
    """Return the TLS settings. Their files are read here, on the driver, because the tasks do not have them."""
    mode = reader.read("sslmode", keywords.ssl_mode, "prefer")
    roots: Pem | str | None
    if reader.text("sslrootcert") == SYSTEM_ROOTS:
        if mode != "verify-full":
            raise UsageError(
                f"sslrootcert=system needs sslmode=verify-full, not {mode}.", "Give --sslmode verify-full."
            )
        roots = SYSTEM_ROOTS
    else:
        roots = _pem("sslrootcert", "root.crt", reader, environ)
    certificate = _pem("sslcert", "postgresql.crt", reader, environ)
    key = _pem("sslkey", "postgresql.key", reader, environ) if certificate else None
    if certificate and not key:
        raise UsageError("There is a client certificate (sslcert) without its key.", "Give --sslkey.")
    key_password = StaticPassword(reader.text("sslpassword")) if reader.text("sslpassword") else None
    return Tls(mode, roots, certificate, key, key_password)


def _pem(name: str, default: str, reader: _Reader, environ: Mapping[str, str]) -> Pem | None:
    """Return the text of a file that was given, or else of libpq's own in ~/.postgresql if it exists."""
    home = environ.get("HOME")
    if reader.text(name):
        path = Path(reader.text(name))
    elif home and Path(f"{home}/.postgresql/{default}").is_file():
        path = Path(f"{home}/.postgresql/{default}")
    else:
        return None
    if name == "sslkey":
        libpq_files.check_key_permissions(path)
    return Pem(str(path), libpq_files.read(path))


def _startup(reader: _Reader) -> tuple[tuple[str, str], ...]:
    startup: dict[str, str] = reader.read("options", keywords.startup_options, {})
    startup.update({name: reader.text(name) for name in keywords.STARTUP if reader.text(name)})
    return tuple(startup.items())


def _timeouts(reader: _Reader) -> Timeouts:
    usual = Timeouts()
    connect_timeout = reader.read("connect_timeout", keywords.seconds, 0)
    milliseconds = reader.read("tcp_user_timeout", keywords.milliseconds, 0)
    return replace(
        usual,
        connect_timeout=float(max(connect_timeout, 2)) if connect_timeout else usual.connect_timeout,
        keepalive=reader.read("keepalives", keywords.flag, "1") == "1",
        idle=reader.read("keepalives_idle", keywords.seconds, 0) or usual.idle,
        interval=reader.read("keepalives_interval", keywords.seconds, 0) or usual.interval,
        count=reader.read("keepalives_count", keywords.seconds, 0) or usual.count,
        user_timeout=milliseconds / 1000 or usual.user_timeout,
    )


def _password(
    given: Given, values: Mapping[str, Value], settings: Settings, environ: Mapping[str, str]
) -> tuple[PasswordSource | None, str]:
    """Return the password, and its origin if it is not among the values."""
    if given.credentials is not None:
        return given.credentials.password, given.credentials.origin
    if "password" in values:
        return StaticPassword(values["password"].text), ""
    text, path = sources.passfile_text(values, environ)
    by_server = [
        (server.host, server.port, password)
        for server in settings.servers
        for password in [
            libpq_files.find_password(text, Login(server.host, server.port, settings.user, settings.dbname))
        ]
        if password is not None
    ]
    return (PasswordByServer(tuple(by_server)), libpq_files.shown(Path(path), environ)) if by_server else (None, "")
