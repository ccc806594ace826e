"""What tests of the data source share: a database as its options, and the sidecars that are running."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from libpq import password_of
from pyspark.sql import SparkSession
from streams import HAS_SINK

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

PATIENCE = 120.0
"""Seconds until something must have come true: it only bounds a hang."""


def register_for_threads(spark: SparkSession) -> None:
    """Register pgcopy, which threads do not find on Spark 4.1. Spark 4.0 finds it in them, and then refuses another."""
    if HAS_SINK:
        from jobs.pgcopy.datasource import PostgresCopyDataSource

        spark.dataSource.register(PostgresCopyDataSource)


def options_for(database: Settings, folder: Path) -> dict[str, str]:
    """The options that lead to a database; its password in a file, as an option must not hold it."""
    server = database.servers[0]
    passfile = folder / "pgpass"
    passfile.write_text(f"*:*:*:*:{password_of(database)}\n")
    passfile.chmod(0o600)
    return {
        "host": server.host,
        "port": str(server.port),
        "dbname": database.dbname,
        "user": database.user,
        "passfile": str(passfile),
    }


def sidecars(session: Session) -> int:
    """How many sidecars hold something in the session's database."""
    [[count]] = session.run(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name ~ '^pgjobs (pgcopy (snapshot|staging) of|snapshot )'"
    )
    return int(count)


def end_sidecars(session: Session) -> None:
    """End those that would still wait for readers."""
    session.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name ~ '^pgjobs (pgcopy|snapshot) '"
    )


def until(holds: Callable[[], bool]) -> bool:
    """Whether something comes true in time."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
