"""The keeper: it holds while that is wanted, and never outlives the driver."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pgcopies import end_keepers, keepers, until

from jobs.dbaccess import ledger, snapshot, staging
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.sql import TableName
from jobs.pgcopy.holdings import HeldSnapshot, HeldStaging
from jobs.pgcopy.keeper import keep

NAMES = staging.plan_staging(TableName("t", "public"), ["a"])


def holding(load_id: str = "") -> HeldStaging:
    return HeldStaging(NAMES, TableName("t", "public"), ("int",), logged=True, load_id=load_id)


def test_a_snapshot_is_held_while_it_is_read_and_a_while_longer(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    moment = keep(database, "pgjobs pgcopy t snapshot", HeldSnapshot("SELECT 1 FROM t", idle=2.0))
    session.run("DELETE FROM t")
    with connect(database, "reader") as reader, snapshot.adopted(reader, moment):
        assert not until_gone(session, patience=3.5)
        assert reader.run("SELECT a FROM t") == [[1]]
    assert until(lambda: keepers(session) == 0)


def test_for_its_first_reader_a_snapshot_waits_longer(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    time = iter([0.0, 59.0, 61.0])
    held = HeldSnapshot("SELECT 1 FROM t", idle=1.0, now=lambda: next(time))
    held.take(session)
    assert held.wanted(session)
    assert not held.wanted(session)
    held.leave(session)


def until_gone(session: Session, patience: float) -> bool:
    """Whether no keeper is there any more after some seconds."""
    session.run("SELECT pg_sleep(%s)", patience)
    return keepers(session) == 0


def test_a_table_is_not_rewritten_while_a_snapshot_of_it_is_held(session: Session, database: Settings) -> None:
    """Parts by blocks count on the blocks."""
    session.run("CREATE TABLE t (a int)")
    keep(database, "pgjobs pgcopy t snapshot", HeldSnapshot("SELECT 1 FROM t", idle=60.0))
    session.run("SET lock_timeout = '100ms'")
    with pytest.raises(DatabaseError, match="lock timeout"):
        session.run("TRUNCATE t")
    end_keepers(session)


def test_staging_is_held_until_it_is_gone(session: Session, database: Settings) -> None:
    assert keep(database, "pgjobs pgcopy t staging", holding()) is None
    assert staging.sweep(session) == []
    assert keepers(session) == 1
    staging.drop(session, NAMES)
    assert until(lambda: keepers(session) == 0)


def test_with_the_driver_the_keeper_ends_and_its_tables_go(session: Session, database: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as driver:
        keep(database, "pgjobs pgcopy t staging", holding(), driver.pid)
        assert keepers(session) == 1
        driver.kill()
    assert until(lambda: keepers(session) == 0)
    assert not staging.exists(session, NAMES)


def test_of_a_load_that_has_finished_nothing_is_held(session: Session, database: Settings) -> None:
    ledger.record(session, "x", "public.t")
    assert keep(database, "pgjobs pgcopy t staging", holding("x")) == "public.t"
    assert until(lambda: keepers(session) == 0)
    assert not staging.exists(session, NAMES)


def test_why_nothing_can_be_held_is_told(database: Settings) -> None:
    with pytest.raises(DatabaseError, match='relation "nowhere" does not exist'):
        keep(database, "pgjobs pgcopy t snapshot", HeldSnapshot("SELECT 1 FROM nowhere", idle=1.0))
