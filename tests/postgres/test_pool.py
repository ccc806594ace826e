"""A pool of sessions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, TransientError
from jobs.dbaccess.pool import SessionPool
from jobs.dbaccess.postgres_connectivity import connect


@pytest.fixture
def pool(database: Settings) -> Iterator[SessionPool]:
    made = SessionPool(database, "pooled", size=2, patience=0.2)
    yield made
    made.close()


def test_a_pool_lends_the_same_session_again(pool: SessionPool) -> None:
    with pool.session() as first:
        pid = first.run("SELECT pg_backend_pid()")
    with pool.session() as second:
        assert second.run("SELECT pg_backend_pid()") == pid


def test_a_pool_is_bounded_and_says_so(pool: SessionPool) -> None:
    in_use = "All connections of the pool are in use"
    with pool.session(), pool.session(), pytest.raises(TransientError, match=in_use), pool.session():
        pass


def test_a_pool_replaces_a_session_that_died_while_idle(pool: SessionPool, database: Settings) -> None:
    with pool.session() as session:
        [[pid]] = session.run("SELECT pg_backend_pid()")
    with connect(database, "t") as other:
        other.run("SELECT pg_terminate_backend(%s, 60000)", pid)
    with pool.session() as session:
        assert session.run("SELECT 1") == [[1]]


def test_a_pool_does_not_lend_a_session_again_that_broke_in_use(pool: SessionPool) -> None:
    with pytest.raises(DatabaseError), pool.session() as session:
        session.run("SELECT pg_terminate_backend(pg_backend_pid())")
    with pool.session() as session:
        assert session.run("SELECT 1") == [[1]]
