"""Leftovers of loads whose driver died: what a later load sweeps, and what it leaves."""

from __future__ import annotations

import pytest
from publishing import AB, T

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def test_leftovers_of_a_dead_driver_are_swept_and_those_of_a_live_one_are_not(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    dead, alive = staging.plan_staging(T, AB), staging.plan_staging(T, AB)
    with connect(database, "dead") as driver:
        staging.hold(driver, dead)
        staging.create_beside(driver, dead, T)
    with connect(database, "alive") as driver:
        staging.hold(driver, alive)
        staging.create_beside(driver, alive, T)
        wait_for_end_of(session, "dead")
        assert leftovers.sweep(session) == sorted([dead.parts.name, dead.rows.name])
        tables = [name for [name] in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
        assert set(tables) == {"t", "table_updates", alive.rows.name, alive.parts.name}


def wait_for_end_of(session: Session, name: str) -> None:
    """Until the server has seen the end of the session of that name."""
    while session.run("SELECT 1 FROM pg_stat_activity WHERE application_name = %s", name):
        pass


def test_leftovers_that_cannot_be_dropped_are_told_and_end_no_load(
    session: Session, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """A view is on one, and the schema of another is closed to its owner by now."""
    session.run("CREATE TABLE t (a int)")
    session.run("CREATE SCHEMA closed")
    session.run("CREATE TABLE closed.t (a int)")
    viewed = staging.plan_staging(T, ["a"])
    hidden = staging.plan_staging(TableName("t", "closed"), ["a"])
    for names, target in ((viewed, T), (hidden, TableName("t", "closed"))):
        staging.create_beside(session, names, target)
    session.run(f"CREATE VIEW v AS SELECT * FROM {viewed.rows.quoted}")
    role = f"sweeper_{database.dbname}"
    session.run(f"CREATE ROLE {role}")
    try:
        for names in (viewed, hidden):
            for table in (names.rows, names.parts):
                session.run(f"ALTER TABLE {table.quoted} OWNER TO {role}")
        session.run(f"SET ROLE {role}")
        assert leftovers.sweep(session) == [viewed.parts.name]
    finally:
        session.run("RESET ROLE")
        session.run(f"DROP OWNED BY {role} CASCADE")
        session.run(f"DROP ROLE {role}")
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 3
    assert all("left behind by a load, cannot be dropped" in message for message in told)


def test_leftovers_into_which_a_task_still_copies_are_left_to_the_next_sweep(
    session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    dead = staging.plan_staging(T, AB)
    staging.create_beside(session, dead, T)
    with connect(database, "task") as task:
        task.run("BEGIN")
        task.run(f"INSERT INTO {dead.rows.quoted} VALUES (1, 'x')")
        assert leftovers.sweep(session) == [dead.parts.name]
        task.run("ROLLBACK")
    assert leftovers.sweep(session) == [dead.rows.name]


def test_a_streams_leftovers_are_told_from_others(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    target = TableName("t", "public")
    ours, theirs = (staging.plan_staging(target, ["a"], stream) for stream in ("ours", "theirs"))
    for names in (ours, theirs):
        staging.create_beside(session, names, target)
    assert [left.parts for left in leftovers.of_stream(session, target, "ours")] == [ours.parts]
