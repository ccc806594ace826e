"""Free connections: each limit beside the connections that it is about."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


@contextmanager
def others(database: Settings, count: int) -> Iterator[None]:
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(connect(database, "others"))
        yield


def test_a_roles_limit_is_about_its_own_connections(session: Session, database: Settings) -> None:
    role = f"limited_{database.dbname}"
    session.run(f"CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 5")
    try:
        as_role = replace(database, user=role, password=lambda _: "secret")
        with others(database, 6), connect(as_role, "limited") as limited, connect(as_role, "limited"):
            found = capacity(limited)
            assert (found.allowed, found.free) == (5, 3)
    finally:
        session.run(f"DROP ROLE {role}")


def test_a_databases_limit_is_about_the_connections_to_it(
    session: Session, database: Settings, server: Settings
) -> None:
    session.run(f"ALTER DATABASE {database.dbname} CONNECTION LIMIT 5")
    with others(server, 6), others(database, 1):
        found = capacity(session)
        assert (found.allowed, found.free) == (5, 3)


def await_end_of_others(session: Session) -> None:
    """Until the server has seen the end of sessions of earlier tests."""
    while session.run("SELECT 1 FROM pg_stat_activity WHERE application_name IN ('others', 'limited')"):
        time.sleep(0.01)


def test_without_limits_the_servers_own_counts(session: Session, database: Settings) -> None:
    await_end_of_others(session)
    before = capacity(session)
    with others(database, 2):
        assert capacity(session).free == before.free - 2
