"""The sidecar: it holds while that is wanted, and never outlives the driver."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pgcopies import sidecars, until

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.pgcopy.sidecar import hold_in_sidecar
from jobs.pgcopy.sidecar_holds import HeldStaging

NAMES = staging.plan_staging(TableName("t", "public"), ["a"])


def holding(load_id: str = "") -> HeldStaging:
    return HeldStaging(NAMES, TableName("t", "public"), ("int",), load_id=load_id)


def test_staging_is_held_until_it_is_gone(session: Session, database: Settings) -> None:
    assert hold_in_sidecar(Connector(database, "pgcopy", "t"), "staging", holding())
    assert leftovers.sweep(session) == []
    assert sidecars(session) == 1
    staging.drop(session, NAMES)
    assert until(lambda: sidecars(session) == 0)


def test_with_the_driver_the_sidecar_ends_and_its_tables_go(session: Session, database: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as driver:
        hold_in_sidecar(Connector(database, "pgcopy", "t"), "staging", holding(), driver.pid)
        assert sidecars(session) == 1
        driver.kill()
    assert until(lambda: sidecars(session) == 0)
    assert not staging.exists(session, NAMES)


def test_of_a_load_that_has_finished_nothing_is_held(session: Session, database: Settings) -> None:
    LUIGIS.record(session, "x", "public.t")
    assert not hold_in_sidecar(Connector(database, "pgcopy", "t"), "staging", holding("x"))
    assert until(lambda: sidecars(session) == 0)
    assert not staging.exists(session, NAMES)


def test_why_nothing_can_be_held_is_told(database: Settings) -> None:
    held = HeldStaging(NAMES, TableName("nowhere"))
    with pytest.raises(DatabaseError, match='relation "nowhere" does not exist'):
        hold_in_sidecar(Connector(database, "pgcopy", "t"), "staging", held)
