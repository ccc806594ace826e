"""Examines what a load needs, in the order in which a load meets it: the way to the server, the server, the rights.

A fault on the way hides what lies behind it, which is then skipped. Behind the login, every fault is found in one run.
"""

from __future__ import annotations

import platform
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from jobs.aws.s3_objects import try_reading, try_writing
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.health import Health, health, oid_of, rights
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.conninfo.settings import Server, Settings
from jobs.dbaccess.errors import JobError, UsageError
from jobs.dbaccess.network import sockets
from jobs.dbaccess.network.tls import context_for
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

OLDEST = 140000
"""server_version_num of the oldest PostgreSQL that is tested (docs/versions.md)."""
LITTLE_WAL = 1024
"""Megabytes of max_wal_size below which a load of a gigabyte causes a checkpoint of its own. PostgreSQL's default."""
FEW = 2
"""Connections: a load needs one for its driver, and one for a task."""

OK, WARNING, FAULT, SKIPPED = "ok", "warning", "FAULT", "skipped"


@dataclass(frozen=True)
class Finding:
    """The result of a check.

    Attributes:
        check: What was examined.
        state: OK, WARNING, FAULT or SKIPPED.
        found: What was found.
        advice: What to do about it; empty if nothing is to be done.
    """

    check: str
    state: str
    found: str
    advice: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is to be loaded.

    Attributes:
        table: The target; None to examine only the server.
        mode: The load's mode.
        markers: The marker table.
        read, written: Places in S3 that jobs are to read, and to write to.
    """

    table: TableName | None
    mode: str
    markers: TableName
    read: tuple[str, ...] = ()
    written: tuple[str, ...] = ()


WAY = ("settings", "name", "port", "TLS", "login")
"""The checks on the way to the server. Behind a fault in one of them, the others are skipped."""


def examine(resolve: Callable[[], Resolved], wanted: Wanted, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield the findings, as they are made.

    Args:
        resolve: Returns the connection settings. It may read a secret of AWS.
        wanted: What is to be loaded.
        environ: The environment variables, for the region of AWS.
    """
    yield here()
    yield from _database(resolve, wanted)
    for url in wanted.read:
        try:
            found = try_reading(url, environ)
            yield Finding("S3", OK if found else WARNING, f"{url}: {'can be read' if found else 'nothing is there'}")
        except JobError as error:
            yield _fault("S3", error)
    for url in wanted.written:
        try:
            try_writing(url, environ)
            yield Finding("S3", OK, f"{url}: an object was written and deleted")
        except JobError as error:
            yield _fault("S3", error)


def _database(resolve: Callable[[], Resolved], wanted: Wanted) -> Iterator[Finding]:
    """Yield the findings about the database and the way to it."""
    done: list[str] = []
    try:
        settings = resolve().settings
        done.append("settings")
        yield Finding("settings", OK, f"{settings.user} at {settings.address}, sslmode {settings.tls.mode}")
        for server in settings.servers:
            yield from _way(server, settings, done)
        session = connect_pinned(settings, "pgjobs doctor")
    except JobError as error:
        failed = next(check for check in WAY if check not in done)
        yield _fault(failed, error)
        for check in (*WAY[WAY.index(failed) + 1 :], "server", "connections", "rights"):
            yield Finding(check, SKIPPED, "not reached")
        return
    with session:
        yield Finding("login", OK, f"as {settings.user}, to {session.server}")
        yield from _server(session)
        if wanted.table is not None:
            yield from _target(session, wanted.table, wanted)


def here() -> Finding:
    """Return what this process is: its Python, and the packages that a job uses."""
    seen = []
    for package in ("pg8000", "pyspark", "pyarrow", "boto3"):
        try:
            seen.append(f"{package} {version(package)}")
        except PackageNotFoundError:  # EMR's Spark is no distribution
            seen.append(f"{package} -")
    return Finding("Python", OK, f"{platform.python_version()}, {', '.join(seen)}")


def _fault(check: str, error: JobError) -> Finding:
    return Finding(check, FAULT, error.message, error.hint)


def _way(server: Server, settings: Settings, done: list[str]) -> Iterator[Finding]:
    """Yield the findings on the way to one server. Each check that passes is noted.

    Raises:
        JobError: One of them does not pass.
    """
    if server.host.startswith("/"):
        done += ["name", "port", "TLS"]
        return
    yield Finding("name", OK, f"{server.host} is {sockets.address_of(server)}")
    done.append("name")
    with closing(sockets.open_socket(server, settings.timeouts)) as sock:
        done.append("port")
        yield Finding("port", OK, f"{server} answers")
        if settings.tls.mode == "disable":
            yield Finding(
                "TLS", WARNING, "off: sslmode is disable", "" if server.is_local else "Give --sslmode verify-full."
            )
        elif not sockets.offers_tls(sock, server):
            yield from _without_tls(server, settings)
        else:
            with closing(sockets.secured(sock, server, context_for(settings.tls, server.host))) as encrypted:
                yield Finding("TLS", OK, f"{encrypted.version()}, {_certificate(encrypted)}")
        done.append("TLS")


def _without_tls(server: Server, settings: Settings) -> Iterator[Finding]:
    if settings.tls.mode not in ("prefer", "allow"):
        raise UsageError(
            f"{server} does not offer TLS, and sslmode={settings.tls.mode} requires it.", "Set ssl = on there."
        )
    state = OK if server.is_local else WARNING
    yield Finding("TLS", state, "the server does not offer it", "" if state == OK else "Set ssl = on there.")


def _certificate(sock: ssl.SSLSocket) -> str:
    """Return who issued the server's certificate, and until when it is valid; it is known only if it was verified."""
    shown: Mapping[str, Any] = sock.getpeercert() or {}
    issuer = {name: value for part in shown.get("issuer", ()) for name, value in part}
    if not issuer:
        return "the certificate is not verified in this sslmode"
    return f"verified, issued by {issuer.get('commonName', 'nobody named')}, valid until {shown.get('notAfter')}"


def _server(session: Session) -> Iterator[Finding]:
    """Yield the findings about the server: version, role, settings, connections."""
    found = health(session)
    text = f"PostgreSQL {found.version // 10000}.{found.version % 10000}"
    if found.version < OLDEST:
        yield Finding("server", WARNING, text, "Older than what is tested (docs/versions.md).")
    else:
        yield Finding("server", OK, text)
    yield from _writes(found)
    yield from _settings(found)
    free = capacity(session)
    states = (FAULT, "Close idle sessions, or raise max_connections, or the limit of the role or database.")
    state, advice = states if free.free < FEW else (OK, "")
    yield Finding("connections", state, f"{free.free} free of {free.allowed}; a load opens {free.share()}", advice)


def _writes(found: Health) -> Iterator[Finding]:
    if found.in_recovery:
        yield Finding(
            "writes", FAULT, "the server is a standby", "Name the primary, or target_session_attrs=read-write."
        )
    elif found.read_only:
        advice = f"ALTER ROLE ... RESET default_transaction_read_only; it is on for {found.role} or its database."
        yield Finding("writes", FAULT, "transactions are read-only by default", advice)
    else:
        yield Finding("writes", OK, "the server takes them")


def _settings(found: Health) -> Iterator[Finding]:
    small = found.max_wal_size < LITTLE_WAL
    yield Finding(
        "max_wal_size",
        WARNING if small else OK,
        f"{found.max_wal_size} MB",
        f"A large load causes checkpoints: set {LITTLE_WAL} MB or more." if small else "",
    )
    if found.publications:
        yield Finding(
            "publications",
            WARNING,
            f"{', '.join(found.publications)} FOR ALL TABLES",
            "New tables of loads are replicated, too: a subscriber needs them, or publish FOR TABLE.",
        )


def _target(session: Session, table: TableName, wanted: Wanted) -> Iterator[Finding]:
    """Yield the findings about the table: whether it exists, and the rights that a load needs."""
    full = table if table.schema else tables.full_name(session, table)
    if full.schema is None or not tables.schema_exists(session, full.schema):
        yield Finding("table", FAULT, f"there is no schema for {table}", "CREATE SCHEMA, or name another one.")
        return
    exists = oid_of(session, full) is not None
    yield Finding("table", OK, f"{full}: {'it exists' if exists else 'the first load creates it'}")
    markers = wanted.markers if wanted.markers.schema else tables.full_name(session, wanted.markers)
    role = session.value("SELECT current_user::text")
    for right in rights(session, full, wanted.mode, markers):
        advice = "" if right.granted else f"{right.grant} TO {quote_name(role)};"
        yield Finding("rights", OK if right.granted else FAULT, right.what, advice)


def as_json(findings: list[Finding]) -> dict[str, object]:
    """Return the findings as plain data, and whether all is well."""
    return {"healthy": healthy(findings), "findings": [asdict(finding) for finding in findings]}


def healthy(findings: list[Finding]) -> bool:
    """Return whether nothing was found that would stop a load."""
    return all(finding.state != FAULT for finding in findings)
