"""An extract of many tables before it reads: one snapshot, and all that is wrong, in all tables, at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from submitted import until

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError, UsageError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.session import Session
from jobs.flows.extract.tables_plan import PlannedTables, WantedTables, plan_tables, refuse

CREATE = "CREATE SCHEMA s; CREATE TABLE s.a AS SELECT 1 AS id; CREATE TABLE s.b AS SELECT 2 AS id"


def planned(session: Session, database: Settings, wanted: WantedTables) -> PlannedTables:
    return plan_tables(session, Connector(database, "extract", "s.*"), wanted)


def test_all_tables_are_read_in_one_snapshot(session: Session, database: Settings) -> None:
    session.run(CREATE)
    connector = Connector(database, "extract", "s.*")
    with connector.open() as holder, connector.open() as reader:
        found = planned(holder, database, WantedTables(("s.*",)))
        session.run("INSERT INTO s.a VALUES (3); INSERT INTO s.b VALUES (4); CREATE TABLE s.c AS SELECT 5 AS id")
        assert [str(each.name) for each in found.tables] == ["s.a", "s.b"]
        with snapshot.adopted(reader, found.snapshot):
            [queries] = zip(*(part for each in found.tables for part in each.plan.parts))
            assert [reader.run(query) for query in queries] == [[[1]], [[2]]]


def test_nobody_takes_one_of_the_tables_away_while_the_snapshot_is_held(session: Session, database: Settings) -> None:
    session.run(f"{CREATE}; SET lock_timeout = '50ms'")
    with Connector(database, "extract", "s.*").open() as holder:
        planned(holder, database, WantedTables(("s.*",)))
        for table in ("s.a", "s.b"):
            with pytest.raises(TransientError, match="lock timeout"):
                session.run(f"TRUNCATE {table}")


def test_what_is_wrong_is_told_for_all_tables_at_once(session: Session, database: Settings) -> None:
    role = f"pgjobs_reader_{session.backend.pid}"
    session.run(f"{CREATE}; CREATE TABLE s.bare (); CREATE TABLE s.keyed (id int PRIMARY KEY)")
    session.run(
        f"CREATE ROLE {role} LOGIN; GRANT USAGE ON SCHEMA s TO {role}; GRANT SELECT ON s.a, s.bare, s.keyed TO {role}"
    )
    reader = replace(database, user=role)
    with Connector(reader, "extract", "s.*").open() as holder:
        found = planned(holder, reader, WantedTables(("s.*",), require_primary_key=True))
    session.run(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert [str(each.name) for each in found.tables] == ["s.keyed"]
    with pytest.raises(UsageError) as caught:
        refuse(found.problems, 4)
    assert caught.value.message == (
        "3 problems in 4 tables, of which none was read: The user may not SELECT from s.b. "
        "s.a has no primary key. s.bare has no primary key."
    )


def test_a_table_that_is_attached_while_the_locks_are_taken_is_noticed(session: Session, database: Settings) -> None:
    """Its rows would be in its own folder, and in that of the table to which it was attached."""
    session.run(f"{CREATE}; CREATE TABLE s.p (id int) PARTITION BY LIST (id)")
    session.run("BEGIN; ALTER TABLE s.p ATTACH PARTITION s.b DEFAULT")
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    with Connector(database, "extract", "s.*").open() as holder, ThreadPoolExecutor(1) as pool:
        planning = pool.submit(planned, holder, database, WantedTables(("s.*",)))
        until(lambda: session.run(waiting), "the wait for the lock")
        session.run("COMMIT")
        with pytest.raises(TransientError, match="others began to match, or some were attached"):
            planning.result()
