"""What the catalog says of a table."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Column, array_dimensions
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.targets.settle import find_table as find_target


def test_a_table_that_is_not_there_is_none(session: Session) -> None:
    assert tables.find_table(session, TableName("nosuch")) is None
    assert tables.find_table(session, TableName("t", "nosuch")) is None


def test_columns_come_with_types_below_domains_and_what_a_row_must_bring(session: Session) -> None:
    session.run("CREATE DOMAIN cents AS bigint; CREATE DOMAIN price AS cents CHECK (VALUE >= 0)")
    session.run(
        'CREATE TABLE "My Table" (id int GENERATED ALWAYS AS IDENTITY, a varchar(10) NOT NULL, '
        "b numeric(8,2) NOT NULL DEFAULT 0, c price, d int[], f price[], e int GENERATED ALWAYS AS (1) STORED)"
    )
    table = tables.find_table(session, TableName("My Table"))
    assert table is not None
    assert (table.name, table.kind) == (TableName("My Table", "public"), "r")
    assert table.columns == (
        Column("id", "integer", "int4", "N", required=False, generated=True, identity="a"),
        Column("a", "character varying(10)", "varchar", "S", required=True),
        Column("b", "numeric(8,2)", "numeric", "N"),
        Column("c", "price", "int8", "N"),
        Column("d", "integer[]", "_int4", "A", element="int4", element_category="N"),
        Column("f", "price[]", "_price", "A", element="int8", element_category="N"),
        Column("e", "integer", "int4", "N", generated=True),
    )


def required_columns(session: Session) -> list[str]:
    table = tables.find_table(session, TableName("t"))
    assert table is not None
    return [column.name for column in table.columns if column.required]


def test_a_domain_may_fill_a_column_or_want_it(session: Session) -> None:
    session.run(
        "CREATE DOMAIN filled AS int DEFAULT 7; CREATE DOMAIN wanted AS int NOT NULL; CREATE DOMAIN two AS wanted"
    )
    session.run("CREATE DOMAIN filled_and_wanted AS int NOT NULL DEFAULT 7")
    session.run("CREATE TABLE t (a filled NOT NULL, b wanted, c two, d filled_and_wanted, e wanted DEFAULT 1)")
    assert required_columns(session) == ["b", "c"]


@pytest.mark.parametrize("on", ["t", "leaf"])
def test_what_a_trigger_may_fill_need_not_be_brought(session: Session, on: str) -> None:
    session.run("CREATE TABLE t (a int NOT NULL) PARTITION BY LIST (a)")
    session.run("CREATE TABLE leaf PARTITION OF t FOR VALUES IN (1)")
    session.run("CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.a = 1; RETURN NEW; END$$")
    for other in ("AFTER INSERT", "BEFORE UPDATE"):
        session.run(f"CREATE TRIGGER other {other} ON {on} FOR EACH ROW EXECUTE FUNCTION fill()")
        assert required_columns(session) == ["a"], other
        session.run(f"DROP TRIGGER other ON {on}")
    session.run(f"CREATE TRIGGER fill BEFORE INSERT ON {on} FOR EACH ROW EXECUTE FUNCTION fill()")
    assert required_columns(session) == []
    session.run(f"ALTER TABLE {on} DISABLE TRIGGER fill")
    assert required_columns(session) == ["a"]


@pytest.mark.parametrize(
    ("make", "what"),
    [
        ("CREATE MATERIALIZED VIEW x AS SELECT 1 AS a", "a materialized view"),
        ("CREATE TABLE t (a int); CREATE INDEX x ON t (a)", "an index"),
        ("CREATE TABLE t (a int) PARTITION BY LIST (a); CREATE INDEX x ON t (a)", "an index"),
        ("CREATE SEQUENCE x", "a sequence"),
        ("CREATE TYPE x AS (a int)", "a composite type"),
    ],
)
def test_what_takes_no_rows_is_no_target(session: Session, make: str, what: str) -> None:
    session.run(make)
    with pytest.raises(UsageError, match=f"public.x is {what}, and cannot store rows"):
        find_target(session, TableName("x"), create=True)


def test_a_dropped_column_is_no_column(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    session.run("ALTER TABLE t DROP COLUMN a")
    table = tables.find_table(session, TableName("t"))
    assert table is not None
    assert [column.name for column in table.columns] == ["b"]


def test_a_table_is_found_by_search_path_and_a_new_one_goes_to_its_first_schema(session: Session) -> None:
    session.run("CREATE SCHEMA s; SET search_path = s, public; CREATE TABLE public.t (a int)")
    table = tables.find_table(session, TableName("t"))
    assert table is not None
    assert table.name == TableName("t", "public")
    assert tables.name_for_new_table(session, TableName("new")) == TableName("new", "s")
    assert tables.name_for_new_table(session, TableName("new", "x")) == TableName("new", "x")


def test_whether_a_schema_exists(session: Session) -> None:
    assert tables.schema_exists(session, "public")
    assert not tables.schema_exists(session, "nosuch")


T = TableName("t", "public")


def test_an_array_is_as_deep_as_its_table_or_its_domain_declares(session: Session) -> None:
    session.run("CREATE DOMAIN grid AS int[][]; CREATE TABLE t (a int[], b int[][], c grid, d int)")
    assert array_dimensions(session, T) == {"a": 1, "b": 2, "c": 2}
