"""No writer's statement fails because a table is captured, and nothing that it changes is missed."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from captures import COPY, captured, rows, until_ended

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.capture import manage

T = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT g, 'a' FROM generate_series(1, 9) g"
TAKEN = (
    "CREATE TABLE t (id int PRIMARY KEY); "
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; "
    "CREATE TRIGGER public__t__pgjobs_t AFTER INSERT ON t EXECUTE FUNCTION f()"
)
ROLE = "capture_test_writer"


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE t RENAME COLUMN id TO number; UPDATE t SET number = number + 10",
        "ALTER TABLE t ALTER id TYPE bigint; INSERT INTO t VALUES (3000000000, 'wide')",
        "ALTER TABLE t ALTER id TYPE text; INSERT INTO t VALUES ('no number', 'text')",
    ],
)
def test_a_key_column_that_changes_fails_no_writer(database: Settings, session: Session, change: str) -> None:
    session.run(T)
    captured(database)
    session.run(change)
    [[marks]] = session.run("SELECT array_agg(op::text) FROM public__t__pgjobs_c WHERE k1 IS NULL")
    assert marks is None or set(marks) == {"?"}
    if "bigint" in change:  # recorded as it is; only the copy must have room
        session.run(f'ALTER TABLE "{COPY}" ALTER id TYPE bigint')
        captured(database)
        assert rows(session) == rows(session, COPY)
    elif "RENAME" in change:
        session.run(f'ALTER TABLE "{COPY}" RENAME COLUMN id TO number')
        captured(database)
        assert rows(session) == rows(session, COPY)
    else:
        with pytest.raises(UsageError, match="id is text at the source and integer in the copy"):
            captured(database)
        session.run(f'ALTER TABLE "{COPY}" ALTER id TYPE text')
        with pytest.raises(UsageError, match="another primary key"):
            captured(database)


def test_a_table_of_changes_that_was_dropped_fails_no_writer_and_misses_nothing(
    database: Settings, session: Session
) -> None:
    session.run(T)
    captured(database)
    session.run("DROP TABLE public__t__pgjobs_c")
    session.run(
        "INSERT INTO t VALUES (10, 'unseen'); DELETE FROM t WHERE id = 1; TRUNCATE t; INSERT INTO t VALUES (2, 'b')"
    )
    captured(database)
    assert rows(session) == rows(session, COPY)


@pytest.mark.parametrize(
    "loss",
    [
        "DROP TRIGGER public__t__pgjobs_tu ON t",
        "ALTER TABLE t DISABLE TRIGGER ALL",
        "DROP FUNCTION public__t__pgjobs_n CASCADE",
        "DELETE FROM public__t__pgjobs_r",
    ],
)
def test_what_was_not_recorded_is_found_by_comparing(database: Settings, session: Session, loss: str) -> None:
    session.run(T)
    captured(database)
    session.run(loss)
    session.run("UPDATE t SET a = 'unseen' WHERE id < 4")
    assert captured(database).compared == 1
    assert rows(session) == rows(session, COPY)
    session.run("UPDATE t SET a = 'seen' WHERE id < 3")
    assert captured(database).compared == 0
    assert rows(session) == rows(session, COPY)


def test_a_writer_needs_no_privilege_but_on_the_table_and_no_object_of_its_own_is_called(
    database: Settings, session: Session
) -> None:
    """The writer's search_path has an operator and a function that would match better."""
    session.run(T)
    captured(database)
    session.run(f"DROP ROLE IF EXISTS {ROLE}")
    session.run(f"CREATE ROLE {ROLE}; GRANT ALL ON t TO {ROLE}")
    try:
        session.run(f"CREATE SCHEMA trap AUTHORIZATION {ROLE}")
        session.run(f"SET ROLE {ROLE}; SET search_path = trap, pg_catalog, public")
        session.run(
            "CREATE FUNCTION trap.to_regclass(text) RETURNS regclass LANGUAGE sql AS 'SELECT (1/0)::oid::regclass'"
        )
        session.run("CREATE TEMP TABLE public__t__pgjobs_c (xid int)")
        session.run("INSERT INTO t VALUES (10, 'x'); UPDATE t SET a = 'y'; DELETE FROM t WHERE id = 2; TRUNCATE t")
        session.run("INSERT INTO t VALUES (11, 'z')")
        with pytest.raises(Exception, match="permission denied"):
            session.run("SELECT * FROM public.public__t__pgjobs_c")
        session.run("RESET ROLE; RESET search_path")
        captured(database)
        assert rows(session) == rows(session, COPY)
    finally:
        session.run("RESET ROLE; RESET search_path")
        session.run(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")


def test_the_privileges_to_read_and_to_create_triggers_suffice(database: Settings, session: Session) -> None:
    session.run(T)
    role = f"{ROLE}_3"
    session.run(f"DROP ROLE IF EXISTS {role}")
    session.run(f"CREATE ROLE {role} LOGIN; GRANT SELECT, TRIGGER ON t TO {role}")
    session.run(f"GRANT CREATE ON SCHEMA public TO {role}")
    try:
        session.run(f"ALTER ROLE {role} PASSWORD 'pw'")
        reader = replace(database, user=role, password=lambda _: "pw")
        captured(reader)
        session.run("UPDATE t SET a = 'b' WHERE id < 4; DELETE FROM t WHERE id = 5")
        assert captured(reader).rows_written == 3
        assert rows(session) == rows(session, COPY)
        until_ended(session)
        manage.drop(reader, TableName("t"))
        assert session.run("SELECT 1 FROM pg_trigger WHERE tgname LIKE 'public%'") == []
    finally:
        session.run(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_writers_of_every_isolation_level_and_replicas_are_recorded(database: Settings, session: Session) -> None:
    session.run(T)
    captured(database)
    for number, level in enumerate(("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"), start=20):
        session.run(f"BEGIN ISOLATION LEVEL {level}; INSERT INTO t VALUES ({number}, '{level}'); COMMIT")
    session.run("BEGIN; SET LOCAL session_replication_role = replica; INSERT INTO t VALUES (30, 'replica'); COMMIT")
    assert captured(database).rows_written == 4
    assert rows(session) == rows(session, COPY)


def test_hostile_names_of_all_kinds_are_captured(database: Settings, session: Session) -> None:
    schema, table, column = 'S "%s" \\', "T' $pgjobs$ %%", 'K "1" \\ %s'
    name = TableName(table, schema)
    session.run(f"CREATE SCHEMA {quote_name(schema)}")
    session.run(
        f'CREATE TABLE {name.quoted} ({quote_name(column)} varchar(10) COLLATE "C", k1 date, gone int, "T" char(3), '
        f"PRIMARY KEY (k1, {quote_name(column)}))"
    )
    session.run(f"INSERT INTO {name.quoted} VALUES (E'a\\t\\\\', '2026-01-01', 1, 'x'), ('b', 'infinity', 2, NULL)")
    into = TableName("x" * 63, schema)
    for channel in ("", 'C"%s\\' + "ü" * 26):
        captured(database, str(name), str(into), channel=channel)
    session.run(f"UPDATE {name.quoted} SET gone = 5; DELETE FROM {name.quoted} WHERE k1 = 'infinity'")
    captured(database, str(name), str(into), channel=channel, filter="k1 < '2027-01-01'")
    assert rows(session, str(name)) == rows(session, str(into)) != []


def test_a_role_with_other_settings_captures_the_same(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, d date, i interval, f float8, b bytea, ts timestamptz, j json)")
    session.run(
        "INSERT INTO t VALUES (1, '2026-11-20', '1 mon -2 days 3.5 s', 0.1::float8 + 0.2, '\\x00ff5c', now(), '{}'), "
        "(2, '0044-03-15 BC', '-1 s', 'NaN', '', 'infinity', 'null')"
    )
    options = (
        "-c datestyle=SQL,DMY -c intervalstyle=sql_standard -c bytea_output=escape -c extra_float_digits=0 "
        "-c default_transaction_read_only=on -c default_transaction_isolation=serializable -c timezone=Asia/Kolkata "
        "-c statement_timeout=60000 -c standard_conforming_strings=off"
    )
    startup = (("options", options),)
    captured(replace(database, startup=startup))
    assert rows(session) == rows(session, COPY)
    session.run("UPDATE t SET f = f / 3, d = d + 20")
    captured(replace(database, startup=startup))
    assert rows(session) == rows(session, COPY)


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("CREATE TABLE t (id int)", "has no primary key"),
        ("CREATE UNLOGGED TABLE t (id int PRIMARY KEY)", "is not a permanent table"),
        ("CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE child () INHERITS (t)", "has child tables"),
        ("CREATE TABLE t (id int[] PRIMARY KEY)", "is an array"),
        ("CREATE VIEW t AS SELECT 1 AS id", "is not a table"),
        ("SELECT 1", "There is no table t"),
        (TAKEN, "calls another function"),
    ],
)
def test_what_cannot_be_captured_is_refused(database: Settings, session: Session, sql: str, told: str) -> None:
    session.run(sql)
    with pytest.raises(UsageError, match=told):
        captured(database)


def test_a_table_is_not_captured_into_itself(database: Settings, session: Session) -> None:
    session.run(T)
    with pytest.raises(UsageError, match="into itself"):
        captured(database, into="public.t")


def test_tables_of_others_are_not_trusted(database: Settings, session: Session) -> None:
    session.run(T)
    session.run(f"CREATE ROLE {ROLE}_2")
    try:
        session.run("CREATE TABLE public__t__pgjobs_r (reader text)")
        session.run(f"ALTER TABLE public__t__pgjobs_r OWNER TO {ROLE}_2")
        with pytest.raises(UsageError, match="belongs to"):
            captured(database)
    finally:
        session.run(f"DROP OWNED BY {ROLE}_2; DROP ROLE {ROLE}_2")


def test_a_reader_falls_asleep_only_when_all_writers_that_found_it_awake_have_ended(
    database: Settings, session: Session
) -> None:
    session.run(T)
    captured(database)
    take = "SELECT pg_try_advisory_lock(hashtextextended('pgjobs capture asleep public.public__t__pgjobs_n', 0))"
    with connect(database, "reader") as reader:
        session.run("BEGIN; UPDATE t SET a = 'b' WHERE id = 2")
        assert reader.run(take) == [[False]]
        session.run("COMMIT")
        assert reader.run(take) == [[True]]
        reader.run('LISTEN "public__t__pgjobs"')
        session.run("UPDATE t SET a = 'c' WHERE id = 2")
        start = time.monotonic()
        reader.wait(120)
        assert time.monotonic() - start < 100
