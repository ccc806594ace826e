"""What the catalogue says of a table."""

from __future__ import annotations

from jobs.dbaccess import catalog
from jobs.dbaccess.catalog import Column
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def test_a_table_that_is_not_there_is_none(session: Session) -> None:
    assert catalog.find_table(session, TableName("nosuch")) is None
    assert catalog.find_table(session, TableName("t", "nosuch")) is None


def test_columns_come_with_types_below_domains_and_what_a_row_must_bring(session: Session) -> None:
    session.run("CREATE DOMAIN cents AS bigint; CREATE DOMAIN price AS cents CHECK (VALUE >= 0)")
    session.run(
        'CREATE TABLE "My Table" (id int GENERATED ALWAYS AS IDENTITY, a varchar(10) NOT NULL, '
        "b numeric(8,2) NOT NULL DEFAULT 0, c price, d int[], f price[], e int GENERATED ALWAYS AS (1) STORED)"
    )
    table = catalog.find_table(session, TableName("My Table"))
    assert table is not None
    assert (table.name, table.kind) == (TableName("My Table", "public"), "r")
    assert table.columns == (
        Column("id", "integer", "int4", "N", required=False, generated=True),
        Column("a", "character varying(10)", "varchar", "S", required=True),
        Column("b", "numeric(8,2)", "numeric", "N"),
        Column("c", "price", "int8", "N"),
        Column("d", "integer[]", "_int4", "A", element="int4", element_category="N"),
        Column("f", "price[]", "_price", "A", element="int8", element_category="N"),
        Column("e", "integer", "int4", "N", generated=True),
    )


def test_a_dropped_column_is_no_column(session: Session) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    session.run("ALTER TABLE t DROP COLUMN a")
    table = catalog.find_table(session, TableName("t"))
    assert table is not None
    assert [column.name for column in table.columns] == ["b"]


def test_a_table_is_found_by_search_path_and_a_new_one_goes_to_its_first_schema(session: Session) -> None:
    session.run("CREATE SCHEMA s; SET search_path = s, public; CREATE TABLE public.t (a int)")
    table = catalog.find_table(session, TableName("t"))
    assert table is not None
    assert table.name == TableName("t", "public")
    assert catalog.name_for_new_table(session, TableName("new")) == TableName("new", "s")
    assert catalog.name_for_new_table(session, TableName("new", "x")) == TableName("new", "x")


def test_whether_a_schema_exists(session: Session) -> None:
    assert catalog.schema_exists(session, "public")
    assert not catalog.schema_exists(session, "nosuch")
