"""The server: started and stopped, its sessions, and what it says of itself."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bench.machine.address import Server
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect
from servermgr.postgres import Manager

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.dbaccess.session import Session

# Differs from PostgreSQL's defaults, so that no checkpoint falls into one load and not into another.
SERVER_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "4GB", "checkpoint_timeout": "30min"}


@contextlib.contextmanager
def server() -> Iterator[Manager]:
    """Run a PostgreSQL for the benchmark."""
    # Not below the clone, which other users may not be able to enter: as root, the server runs as another user.
    directory = tempfile.mkdtemp(prefix="pgjobs-bench-")
    Path(directory).chmod(0o755)
    try:
        with Manager("127.0.0.1", 0, f"{directory}/data", initialize=True, settings=SERVER_SETTINGS) as manager:
            yield manager
    finally:
        shutil.rmtree(directory)


@contextlib.contextmanager
def session(address: Server) -> Iterator[Session]:
    """Open a session."""
    given = Given({name: str(value) for name, value in asdict(address).items()})
    with connect(resolve(given, {}).settings, "pgjobs bench") as opened:
        yield opened


def wal(address: Server) -> float:
    """Return how many bytes of write-ahead log the server has written."""
    with session(address) as opened:
        [[written]] = opened.run("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8")
    return float(written)


def version(address: Server) -> str:
    """Return the server's version."""
    with session(address) as opened:
        [[number]] = opened.run("SHOW server_version")
    return str(number)
