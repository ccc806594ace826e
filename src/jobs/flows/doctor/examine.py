"""Examines, in order. A fault on the way to the server hides what lies behind it; of the rest, every fault is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from jobs.aws.s3_objects import try_reading, try_writing
from jobs.dbaccess.conninfo.resolve import Resolved
from jobs.dbaccess.errors import JobError
from jobs.flows.doctor import database, runtime, target, way
from jobs.flows.doctor.finding import OK, WARNING, Failed, Finding, fault, skipped
from jobs.flows.doctor.target import Wanted
from jobs.flows.doctor.way import Store

WAY = ("settings", "name", "port", "TLS", "login")
"""The checks on the way to the server. Behind a fault in one of them, the others are skipped."""

BEHIND = ("server", "connections", "privileges")


def examine(
    resolve: Callable[[], Resolved],
    wanted: Wanted,
    environ: Mapping[str, str],
    store: Store | None = None,
    module: str = runtime.__file__,
) -> Iterator[Finding]:
    """Yield the findings, as they are made.

    Args:
        resolve: Returns the connection settings. It may read a secret of AWS.
        wanted: What is to be loaded.
        environ: The environment variables, for the region of AWS.
        store: The store of the password.
        module: A module's file, by which the archive is found that contains it.
    """
    yield runtime.packages()
    archive = runtime.archive_of(Path(module))
    if archive is not None:
        yield from runtime.fit(archive, runtime.here())
    yield from _database(resolve, wanted, store)
    for url in wanted.read:
        try:
            found = try_reading(url, environ)
            yield Finding("S3", OK if found else WARNING, f"{url}: {'can be read' if found else 'nothing is there'}")
        except JobError as error:
            yield fault("S3", error)
    for url in wanted.written:
        try:
            try_writing(url, environ)
            yield Finding("S3", OK, f"{url}: an object was written and deleted")
        except JobError as error:
            yield fault("S3", error)


def _database(resolve: Callable[[], Resolved], wanted: Wanted, store: Store | None) -> Iterator[Finding]:
    """Yield the findings about the database and the way to it."""
    done: list[str] = []
    try:
        settings = yield from way.settings_of(resolve, store)
        for finding in way.to_servers(settings):
            done.append(finding.check)
            yield finding
        session = way.log_in(settings)
    except Failed as failure:
        yield failure.finding
        yield from skipped(*_behind(failure.finding.check), *BEHIND, *(["fit", "plan"] if wanted.plan else []))
        return
    with session:
        yield Finding("login", OK, f"as {settings.user}, to {session.server}")
        yield way.pooler(session)
        try:
            yield from database.findings(session)
            if wanted.table is not None:
                yield from target.findings(session, wanted.table, wanted)
        except JobError as error:
            yield fault("server", error)


def _behind(check: str) -> tuple[str, ...]:
    """Return the checks on the way that lie behind one."""
    with suppress(ValueError):
        return WAY[WAY.index(check) + 1 :]
    return () if check == "pooler" else ("login",) if check == "token" else WAY
