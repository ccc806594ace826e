"""Locks that runs take on ids: waiting for one is bounded, and tells who holds it."""

from __future__ import annotations

import pytest

from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.locks import Lock
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session


def test_waiting_for_a_load_id_ends_and_tells_who_holds_it(session: Session, database: Settings) -> None:
    with connect(database, "pgjobs load x") as other:
        assert locks.take(other, locks.load("x"))
        who = rf"'x' is held by process {other.backend.pid} of the server \(pgjobs load x\), connected from 127"
        with pytest.raises(TransientError, match=who) as caught:
            locks.wait(session, locks.load("x"), seconds=0)
        assert "did not end within 0 s" in caught.value.message
        assert "pg_terminate_backend" in caught.value.hint


def test_a_watermark_is_not_waited_for_without_bound(session: Session, database: Settings) -> None:
    with connect(database, "other run") as other:
        locks.wait(other, locks.watermark("w"))
        with pytest.raises(TransientError, match=r"The watermark 'w' is held by .*\(other run\)"):
            locks.wait(session, locks.watermark("w"), seconds=0)


def test_a_lock_that_was_waited_for_is_held(session: Session, database: Settings) -> None:
    other = connect(database, "other run")
    lock = Lock("a", "a")
    assert locks.take(other, lock)
    other.close()
    locks.wait(session, lock, seconds=120)
    with connect(database, "third") as third:
        assert not locks.take(third, lock)


def test_a_lock_is_held_by_one_session_until_it_ends(session: Session, database: Settings) -> None:
    with connect(database, "t") as first:
        assert locks.take(first, locks.load("a"))
        assert not locks.take(session, locks.load("a"))
        assert locks.take(session, locks.load("b"))
    locks.wait(session, locks.load("a"))
