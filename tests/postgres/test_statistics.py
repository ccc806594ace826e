"""ANALYZE after a load into partitions: what it reads, by the server's own count."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.load.statistics import refresh
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

T = TableName("t", "public")


@pytest.fixture
def looked_at(session: Session) -> Session:
    """A table whose partitions have been looked at, but for one that is new."""
    session.run("CREATE TABLE t (a int) PARTITION BY LIST (a)")
    for value in (1, 2):
        session.run(f"CREATE TABLE t{value} PARTITION OF t FOR VALUES IN ({value})")
    session.run("INSERT INTO t SELECT i % 2 + 1 FROM generate_series(1, 1000) i")
    session.run("ANALYZE t")
    session.run("CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3)")
    session.run("INSERT INTO t SELECT i % 3 + 1 FROM generate_series(1, 30) i")
    return session


def rows_known(session: Session) -> dict[str, int]:
    found: list[Any] = session.run("SELECT relname, reltuples::int FROM pg_class WHERE relname ~ '^t[0-9]$'")
    return dict(found)


def test_a_small_load_has_only_its_new_partition_read(looked_at: Session) -> None:
    refresh(looked_at, T, changed=30)
    assert rows_known(looked_at) == {"t1": 500, "t2": 500, "t3": 10}


def test_a_large_load_has_all_partitions_read(looked_at: Session) -> None:
    refresh(looked_at, T, changed=None)
    assert rows_known(looked_at) == {"t1": 510, "t2": 510, "t3": 10}


def plain_rows_known(session: Session) -> int:
    [[rows]] = session.run("SELECT reltuples::int FROM pg_class WHERE relname = 't'")
    return int(rows)


def test_a_plain_table_without_statistics_is_read(session: Session) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS a; CREATE INDEX ON t (a)")  # the index counts rows, and that is all
    refresh(session, T, changed=0)
    assert session.run("SELECT 1 FROM pg_stats WHERE tablename = 't'") == [[1]]


@pytest.mark.parametrize(("changed", "known"), [(99, 1000), (100, 1100), (None, 1100)])
def test_a_plain_table_is_read_again_if_a_noticeable_share_changed(
    session: Session, changed: int | None, known: int
) -> None:
    session.run("CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    refresh(session, T, changed=1000)
    session.run("INSERT INTO t SELECT generate_series(1, 100)")
    refresh(session, T, changed)
    assert plain_rows_known(session) == known


def test_a_table_that_somebody_dropped_after_the_load_is_left_alone(session: Session) -> None:
    refresh(session, TableName("gone", "public"), None)
    assert session.run("SELECT 1") == [[1]]


def test_whoever_holds_the_table_does_not_hold_up_a_load_that_is_done(session: Session, database: Settings) -> None:
    """CREATE INDEX CONCURRENTLY, for example, may take hours, and appends do not wait for it."""
    session.run("CREATE TABLE t AS SELECT 1 AS a")
    with connect(database, "holder") as holder, holder.transaction():
        holder.run("LOCK TABLE t IN SHARE UPDATE EXCLUSIVE MODE")
        with pytest.raises(TransientError, match="lock timeout"):
            refresh(session, T, None, lock_timeout="100ms")
    assert session.run("SELECT 1") == [[1]]
