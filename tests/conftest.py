"""One PostgreSQL server for the test run, and a database of its own for each test that wants one.

TEST_DATABASE_URL points the same tests at any other server; its user must be allowed to create databases.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from cloud import moto_server
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from jobs.aws import clients
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.load import ledger
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from servermgr.postgres import Manager

# A run fails for what was changed, not by chance or for a busy machine. HYPOTHESIS_PROFILE=explore looks further.
_PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("same", _PATIENT, derandomize=True)
hypothesis_settings.register_profile("explore", _PATIENT, max_examples=1000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Tests need no rows to survive a crash of the machine.
SERVER_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": 60}


# A shell starts a background job deaf to Ctrl-C, and its children inherit that. Tests of Ctrl-C want both to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """The server, with a database from which others can be made."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield resolve(Given(url=url), os.environ).settings
        return
    # Not pytest's tmp_path, which other users cannot reach: as root, the server runs as another user.
    directory = tempfile.mkdtemp(prefix="pgjobs-test-")
    Path(directory).chmod(0o755)
    try:
        with Manager("127.0.0.1", 0, f"{directory}/data", initialize=True, settings=SERVER_SETTINGS) as manager:
            yield resolve(Given(url=manager.url()), {}).settings
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def template(server: Settings) -> Iterator[str]:
    """A database with the marker table, to be cloned."""
    name = f"pgjobs_template_{uuid.uuid4().hex[:12]}"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {quote_name(name)}")
        with connect(replace(server, dbname=name), "pgjobs tests") as session:
            ledger.ensure(session)
        yield name
        admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")


@pytest.fixture
def database(server: Settings, template: str) -> Iterator[Settings]:
    """A fresh database."""
    name = f"pgjobs_test_{uuid.uuid4().hex[:12]}"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE {quote_name(name)} TEMPLATE {quote_name(template)}")
        yield replace(server, dbname=name)
        left_open = _sessions_after(admin, name, patience=5.0)
        admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")
    assert left_open == [], "a test must leave no connection open"


def _sessions_after(admin: Session, database: str, patience: float) -> list[str]:
    """Who is still connected to a database after some seconds; a server needs a moment to see a session's end."""
    deadline = time.monotonic() + patience
    while True:
        query = "SELECT application_name FROM pg_stat_activity WHERE datname = %s"
        names = [name for [name] in admin.run(query, database)]
        if not names or time.monotonic() > deadline:
            return names
        time.sleep(0.02)


@pytest.fixture
def session(database: Settings) -> Iterator[Session]:
    """A session on a fresh database."""
    with connect(database, "pgjobs tests") as opened:
        yield opened


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Mapping[str, str]]:
    """The environment that leads to an AWS of our own, for other processes."""
    with moto_server() as environ:
        yield environ


@pytest.fixture
def aws(aws_server: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """The same for this process."""
    for name, value in aws_server.items():
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    yield aws_server
    clients.client.cache_clear()
