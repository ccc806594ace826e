"""Locks come before the snapshot: a table that is reloaded, rewritten or swapped meanwhile is read as it is then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from jobs.dbaccess import table_locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import TransientError, UsageError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot, adopted
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted, find_source, hold_source, plan_extract, selected

OLD, NEW = 10, 20
FILL = f"SELECT n AS id FROM generate_series(1, {NEW}) n"

CHANGES = {
    "reloaded": f"TRUNCATE t; INSERT INTO t {FILL}",
    "swapped for a new table": f"CREATE TABLE t_new AS {FILL}; ALTER TABLE t RENAME TO t_old; "
    "ALTER TABLE t_new RENAME TO t",
    "swapped for one that was there, empty": f"INSERT INTO spare {FILL}; ALTER TABLE t RENAME TO t_old; "
    "ALTER TABLE spare RENAME TO t",
    "swapped by schemas": f"INSERT INTO spare {FILL}; ALTER TABLE spare RENAME TO t_new; "
    "ALTER TABLE t SET SCHEMA other; ALTER TABLE t_new RENAME TO t",
    "dropped and made anew": f"DROP TABLE t; CREATE TABLE t AS {FILL}",
    "rewritten": f"ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t SELECT n FROM generate_series({OLD + 1}, {NEW}) n",
}
WANTED = {
    "table": Wanted(TableName("t")),
    "table with a filter": Wanted(TableName("one"), filter=f"{NEW} = (SELECT count(*) FROM t)"),
    "query": Wanted(query="SELECT id FROM t"),
}


@pytest.fixture
def tables(session: Session) -> None:
    session.run(f"CREATE TABLE t AS SELECT n AS id FROM generate_series(1, {OLD}) n")
    session.run(f"CREATE TABLE spare (id int); CREATE SCHEMA other; CREATE TABLE one AS {FILL}")


@contextmanager
def held_while(database: Settings, wanted: Wanted, change: str, user: str = "") -> Iterator[tuple[Session, Snapshot]]:
    """What is wanted, held by a session that began to while a change was not yet committed."""
    moments: list[Snapshot] = []
    with (
        connect(database, "writer") as writer,
        connect(replace(database, user=user or database.user), "holder") as holder,
    ):
        probe = selected(holder, wanted, find_source(holder, wanted)).select(["1"])  # which waits for nobody yet
        writer.run(f"BEGIN; {change}")
        holding = threading.Thread(target=lambda: moments.append(snapshot.export(holder, probe)))
        holding.start()
        until(lambda: waiting(writer))
        writer.run("COMMIT")
        holding.join()
        yield holder, moments[0]


def waiting(session: Session) -> bool:
    query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    return bool(session.run(query))


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rows(database: Settings, wanted: Wanted, moment: Snapshot) -> int:
    """How many rows the parts have, as tasks read them."""
    with connect(database, "reader") as reader, adopted(reader, moment):
        source = plan_extract(reader, wanted, find_source(reader, wanted))
        copied = [b"".join(reader.copy_out(f"COPY ({query}) TO STDOUT")) for part in source.parts for query in part]
    return b"".join(copied).count(b"\n")


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("wanted", WANTED.values(), ids=WANTED)
def test_what_is_changed_while_it_is_waited_for_is_read_as_it_is_then(
    database: Settings, wanted: Wanted, change: str
) -> None:
    with held_while(database, wanted, change) as (_, moment):
        assert rows(database, wanted, moment) == NEW


BEHIND = {
    "view": (
        f"CREATE TABLE base AS SELECT n AS id FROM generate_series(1, {OLD}) n; CREATE VIEW t AS SELECT id FROM base",
        f"TRUNCATE base; INSERT INTO base {FILL}",
    ),
    "view that is made anew": (
        f"CREATE TABLE base (id int); CREATE TABLE t_old AS {FILL} LIMIT {OLD}; CREATE VIEW t AS SELECT id FROM t_old",
        f"INSERT INTO base {FILL}; CREATE OR REPLACE VIEW t AS SELECT id FROM base",
    ),
    "materialised view": (
        (
            f"CREATE TABLE base AS SELECT n AS id FROM generate_series(1, {OLD}) n; "
            "CREATE MATERIALIZED VIEW t AS SELECT id FROM base"
        ),
        f"TRUNCATE base; INSERT INTO base {FILL}; REFRESH MATERIALIZED VIEW t",
    ),
    "partition": (
        (
            "CREATE TABLE t (id int) PARTITION BY RANGE (id); "
            f"CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (11); "
            f"CREATE TABLE high PARTITION OF t DEFAULT; INSERT INTO t {FILL}"
        ),
        "CREATE TEMP TABLE kept AS TABLE high; TRUNCATE high; INSERT INTO high TABLE kept",
    ),
    "heir": (
        f"CREATE TABLE t (id int); CREATE TABLE heir () INHERITS (t); INSERT INTO heir {FILL}",
        f"TRUNCATE heir; INSERT INTO heir {FILL}",
    ),
    "partition that takes another one's place": (
        (
            "CREATE TABLE t (id int) PARTITION BY RANGE (id); "
            "CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (99); CREATE TABLE new_p (id int)"
        ),
        (
            f"ALTER TABLE t DETACH PARTITION p; INSERT INTO new_p {FILL}; "
            "ALTER TABLE t ATTACH PARTITION new_p FOR VALUES FROM (0) TO (99)"
        ),
    ),
}


@pytest.mark.parametrize(("create", "change"), BEHIND.values(), ids=BEHIND)
def test_so_is_what_stands_behind_a_name(session: Session, database: Settings, create: str, change: str) -> None:
    session.run(create)
    for wanted in (WANTED["table"], WANTED["query"]):
        with held_while(database, wanted, change) as (_, moment):
            assert rows(database, wanted, moment) == NEW
        if "ATTACH" in change or "REPLACE" in change:
            return  # which cannot be done twice


@pytest.fixture
def reader(session: Session, database: Settings) -> Iterator[Settings]:
    """A role that may read one column of t and nothing else, and whose transactions are of another kind by default."""
    role = f"reader_{database.dbname}"
    session.run(f"CREATE ROLE {role} LOGIN; GRANT SELECT (id) ON t TO {role}")
    for name, value in {"isolation": "serializable", "read_only": "on", "deferrable": "on"}.items():
        session.run(f"ALTER ROLE {role} SET default_transaction_{name} = '{value}'")
    yield replace(database, user=role)
    session.run(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.mark.usefixtures("tables")
def test_a_privilege_to_read_is_all_it_takes_whatever_the_roles_transactions_are(
    session: Session, database: Settings, reader: Settings
) -> None:
    session.run("ALTER TABLE t ADD secret int")
    wanted = Wanted(query="SELECT id FROM t")
    change = f"TRUNCATE t; INSERT INTO t {FILL}"
    with held_while(database, wanted, change, user=reader.user) as (holder, moment):
        assert holder.run("SHOW transaction_isolation") == [["read committed"]]
        assert rows(reader, wanted, moment) == NEW


@pytest.mark.usefixtures("tables")
def test_while_a_snapshot_is_held_nobody_can_change_what_it_reads(session: Session, database: Settings) -> None:
    session.run("CREATE VIEW v AS SELECT id FROM t; SET lock_timeout = '50ms'")
    with connect(database, "holder") as holder:
        moment = hold_source(holder, Wanted(query="SELECT v.id FROM v, one WHERE one.id = 1"))
        assert len(table_locks.held_relations(holder)) == 3
        for change in (
            "TRUNCATE t",
            "ALTER TABLE t RENAME TO t_old",
            "CREATE OR REPLACE VIEW v AS TABLE one",
            "DROP TABLE one",
        ):
            with pytest.raises(TransientError, match="lock timeout"):
                session.run(change)
        snapshot.release(holder)
        session.run("TRUNCATE t")
        assert moment.seen


@pytest.mark.usefixtures("tables")
def test_a_wait_that_is_too_long_ends_by_naming_who_is_in_the_way(
    session: Session, database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "WAIT", 1)
    [[pid]] = session.run("BEGIN; LOCK TABLE t; SELECT pg_backend_pid()")
    told = f"Waited 1 s for a table's lock: session {pid} .user '.*', application 'pgjobs tests'. has locked t."
    with connect(database, "holder") as holder:
        for wanted in (WANTED["table"], WANTED["query"]):
            with pytest.raises(TransientError, match=told):
                hold_source(holder, wanted)
    session.run("ROLLBACK")


@pytest.mark.usefixtures("tables")
def test_a_reader_behind_somebody_who_waits_for_the_holder_is_told(
    session: Session, database: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the three of them would wait for ever."""
    monkeypatch.setattr(snapshot, "READERS_WAIT", 1)
    with connect(database, "holder") as holder, connect(database, "writer") as writer:
        moment = hold_source(holder, WANTED["table"])
        truncating = threading.Thread(target=writer.run, args=("TRUNCATE t",))
        truncating.start()
        until(lambda: waiting(session))
        with pytest.raises(TransientError, match=r"application 'writer'\) waits to lock t\."):
            rows(database, WANTED["table"], moment)
        snapshot.release(holder)
        truncating.join()


def test_what_is_not_there_is_told_before_anything_is_held(session: Session) -> None:
    with pytest.raises(UsageError, match="There is no table nosuch"):
        hold_source(session, Wanted(TableName("nosuch")))
    with pytest.raises(UsageError, match="not one boolean expression"):
        session.run("CREATE TABLE t (id int)")
        hold_source(session, Wanted(TableName("t"), filter="nosuch"))
    assert session.run("SELECT 1") == [[1]]
