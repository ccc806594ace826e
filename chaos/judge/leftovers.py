"""What a job must not leave: tables, sessions, locks, processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from chaos.errors import ChaosError
from chaos.stage.database import Database
from chaos.stage.spark.drivers import Driver

PATIENCE = 60.0
"""Seconds after a job's end until all of its processes must have ended. An executor of a killed driver is slow."""


def left_in(database: Database, ended: Sequence[Driver]) -> list[str]:
    """Return what is left after a while: staging tables, sessions, advisory locks, processes of killed drivers."""
    return _until_none(lambda: _left_now(database) + [f"process {left}" for driver in ended for left in driver.left])


def _left_now(database: Database) -> list[str]:
    tables = (
        "SELECT 'table ' || relname FROM pg_class "
        "WHERE relname ~ '^pgjobs_(rows|parts|rejects|result)_' AND relkind IN ('r', 'p')"
    )
    sessions = (
        "SELECT 'session ' || application_name || ': ' || left(query, 60) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'pgjobs%' "
        "AND application_name NOT LIKE '%snapshot%'"
    )
    locks = (
        "SELECT 'advisory lock of ' || application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE locktype = 'advisory' AND datname = current_database() AND application_name NOT LIKE '%snapshot%'"
    )
    claims = "SELECT 'claims: ' || count(*) FROM pgjobs_claims HAVING count(*) > 0"
    with_claims = database.run("SELECT 1 WHERE to_regclass('pgjobs_claims') IS NOT NULL").strip()
    queries = (tables, sessions, locks, *([claims] if with_claims else []))
    return [line for query in queries for line in database.run(query).split("\n") if line]


def _until_none(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            left = look()
        except ChaosError as error:  # the server may be restarting
            left = [str(error)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)
