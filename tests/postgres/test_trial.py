"""Columns as the user defines them: the server judges them before anything is copied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from publishing import load

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, UsageError
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, Definition, add_missing, create, missing_from, parse
from jobs.dbaccess.load.definitions.trial import NewTable, foresee, foresee_addition, foresee_indexes
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

T = TableName("t", "public")


def foreseen(session: Session, *texts: str, keys: tuple[str, ...] = ()) -> NewTable:
    return foresee(session, T, parse(texts, COLUMN_TYPE), keys)


def test_the_table_is_foreseen_and_not_left_behind(session: Session) -> None:
    new = foreseen(session, "id=bigserial", "name=varchar(3) NOT NULL", "at=timestamp DEFAULT now()")
    columns = [(c.name, c.type_name, c.base_type, c.required) for c in new.table.columns]
    assert columns == [
        ("id", "bigint", "int8", False),
        ("name", "character varying(3)", "varchar", True),
        ("at", "timestamp without time zone", "timestamp", False),
    ]
    assert new.table.name == T
    assert session.run("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgjobs\\_%' OR relname = 't'") == [[0]]


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("varcharr(3)", 'type "varcharr" does not exist'),
        ("int NOT", "syntax error"),
        ("int DEFAULT 'x'", "invalid input syntax for type integer"),
        ("int DEFAULT nextval('none')", 'relation "none" does not exist'),
        ("int REFERENCES none", 'relation "none" does not exist'),
        ("int -- a comment, not the end", None),
        ("int /* a comment */", None),
    ],
)
def test_a_definition_that_the_server_does_not_accept_is_a_usage_error(
    session: Session, sql: str, told: str | None
) -> None:
    if told is None:
        assert [c.name for c in foreseen(session, f"a={sql}", "b=int").table.columns] == ["a", "b"]
        return
    with pytest.raises(UsageError, match=f"public.t cannot have the columns that are defined: .*{told}"):
        foreseen(session, f"a={sql}")
    assert session.run("SELECT 1") == [[1]]


def test_a_backslash_ends_no_string_whatever_the_roles_setting(session: Session, database: Settings) -> None:
    session.run(f"ALTER DATABASE {database.dbname} SET standard_conforming_strings = off")
    with connect(database, "t") as other:
        with other.transaction():
            create(other, T, parse([r"a=text DEFAULT 'x\'", "b=int"], COLUMN_TYPE))
            assert other.run("SHOW standard_conforming_strings") == [["off"]]
        other.run("INSERT INTO t (b) VALUES (1)")
        assert other.run("SELECT a FROM t") == [["x\\"]]


@pytest.mark.parametrize(
    ("definition", "has_types_only"),
    [
        ("a=varchar(3)", True),
        ("a=numeric(3,1)", True),
        ("a=int[]", True),
        ("a=int[][]", False),
        ("a=serial", False),
        ("a=int NOT NULL", False),
        ("a=int DEFAULT 1", False),
        ("a=int PRIMARY KEY", False),
        ("a=int UNIQUE", False),
        ("a=int CHECK (a > 0)", False),
        ('a=text COLLATE "C"', False),
        ("a=int GENERATED ALWAYS AS IDENTITY", False),
        ("a=int GENERATED ALWAYS AS (1) STORED", False),
    ],
)
def test_a_table_whose_columns_have_more_than_types_is_told_apart(
    session: Session, definition: str, has_types_only: bool
) -> None:
    assert foreseen(session, definition).has_types_only is has_types_only


def test_keys_become_the_primary_key_unless_a_definition_makes_one_of_them(session: Session) -> None:
    def keys_of(*texts: str) -> list[str]:
        with session.transaction():
            session.run("DROP TABLE IF EXISTS t")
            create(session, T, parse(texts, COLUMN_TYPE), ("a",))
        return tables.primary_key(session, T)

    assert keys_of("a=int", "b=int") == ["a"]
    assert keys_of("a=int PRIMARY KEY", "b=int") == ["a"]
    assert keys_of("a=int UNIQUE", "b=int PRIMARY KEY") == ["b"]
    with pytest.raises(UsageError, match="multiple primary keys"):
        foreseen(session, "a=int", "b=int PRIMARY KEY", keys=("a",))


def test_columns_are_added_once_and_seen_before(session: Session) -> None:
    session.run("CREATE TABLE t (a int NOT NULL); INSERT INTO t VALUES (4)")
    more = (Definition("b", "text DEFAULT 'x'"), Definition("c", "int GENERATED ALWAYS AS (a * 2) STORED"))
    table = tables.find_table(session, T)
    assert table is not None
    assert missing_from(table, [Definition("A", "int"), *more]) == more
    assert [column.name for column in foresee_addition(session, table, more).columns] == ["a", "b", "c"]
    assert tables.find_table(session, T) == table
    for _ in range(2):
        with session.transaction():
            add_missing(session, T, more)
    assert session.run("SELECT a, b, c FROM t") == [[4, "x", 8]]


def test_who_may_not_create_tables_is_told_so(session: Session, database: Settings) -> None:
    role = f"reader_{database.dbname}"
    session.run(f"CREATE SCHEMA closed; CREATE ROLE {role} NOLOGIN; SET ROLE {role}")
    try:
        with pytest.raises(DatabaseError, match="permission denied for schema closed"):
            foresee(session, TableName("t", "closed"), [Definition("a", "int")])
    finally:
        session.run(f"RESET ROLE; DROP ROLE {role}")


def test_types_and_defaults_are_those_of_the_users_own_path(session: Session, database: Settings) -> None:
    session.run("CREATE SCHEMA own; CREATE DOMAIN own.price AS numeric(8,2); CREATE SEQUENCE own.numbers")
    session.run(f"ALTER DATABASE {database.dbname} SET search_path = own, public")
    with connect(database, "t") as other, other.transaction():
        create(other, T, parse(["a=price", "n=int DEFAULT nextval('numbers')"], COLUMN_TYPE))
        other.run("INSERT INTO public.t (a) VALUES (1.005)")
        assert other.run("SELECT a::text, n FROM public.t") == [["1.01", 1]]


APPEND_AB = Move("append", ("a", "b"))


def test_a_new_table_gets_its_indexes_with_its_rows_or_not_at_all(session: Session) -> None:
    def publish_with(*indexes: str) -> Callable[[Session, PublishPlan], Published]:
        return lambda session, plan: publish(session, replace(plan, indexes=indexes))

    rows = [[1, "x"], [2, "x"]]
    with pytest.raises(ConstraintViolated, match="could not create unique index"):
        load(session, APPEND_AB, rows, ("int", "text"), publish=publish_with("a", "UNIQUE (b)"))
    assert session.run("SELECT to_regclass('t')") == [[None]]
    for keyed in (APPEND_AB, replace(APPEND_AB, mode="ignore", keys=("a",))):
        load(session, keyed, rows, ("int", "text"), publish=publish_with("a", "USING hash (b)"))
        indexes = session.run("SELECT indexdef FROM pg_indexes WHERE tablename = 't' AND indexname NOT LIKE '%pkey'")
        assert sorted(index for [index] in indexes) == [
            "CREATE INDEX t_a_idx ON public.t USING btree (a)",
            "CREATE INDEX t_b_idx ON public.t USING hash (b)",
        ]
        assert session.run("SELECT count(*) FROM t") == [[2]]
        session.run("DROP TABLE t")


def test_what_is_no_index_is_a_usage_error(session: Session) -> None:
    columns = [Definition("a", "int")]
    for text in ("b", "USING gin (a)", "a) (b"):
        with pytest.raises(UsageError, match=r"public\.t cannot have the indexes that --index gives"):
            foresee_indexes(session, T, columns, [text])
    foresee_indexes(session, T, columns, ["a", "(a) WHERE a > 0"])
    assert session.run(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'table_updates'"
    ) == [[0]]
