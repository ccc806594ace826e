"""Servers that have an extension: that of the tests, or else one from a Python wheel, which has pgvector."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from server_folder import server_folder

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from servermgr import binaries
from servermgr.errors import DatabaseException
from servermgr.postgres import Manager

HALFVEC_SINCE = (0, 7)


def version_of(session: Session, extension: str) -> tuple[int, ...]:
    """The version of an extension that can be created; empty if there is none."""
    found = session.run("SELECT default_version FROM pg_available_extensions WHERE name = %s", extension)
    return tuple(int(number) for [version] in found for number in version.split("."))


@contextmanager
def server_with_vectors(server: Settings) -> Iterator[Settings]:
    """A server with pgvector, and its halfvec. The test is skipped where there is none."""
    with connect(server, "pgjobs tests") as session:
        is_there = version_of(session, "vector") >= HALFVEC_SINCE
    if is_there:
        yield server
        return
    if os.environ.get("POSTGRES_BIN"):
        pytest.skip("the server of POSTGRES_BIN has no pgvector of version 0.7")
    try:
        wheel = binaries.find(environ={}, places=())
    except DatabaseException:
        pytest.skip("this server has no pgvector of version 0.7, and there is no server from a wheel")
    with server_folder() as folder:
        settings = {"fsync": "off", "full_page_writes": "off", "max_connections": 30}
        with Manager("127.0.0.1", 0, folder / "data", True, wheel.version, settings=settings) as manager:
            made = resolve(Given(url=manager.url()), {}).settings
            with connect(made, "pgjobs tests") as session:
                if version_of(session, "vector") < HALFVEC_SINCE:
                    pytest.skip(f"the wheel's PostgreSQL {wheel.version} has no pgvector of version 0.7")
            yield made
