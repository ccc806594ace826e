"""Types that are known by what the catalog records of them, and not by their names."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog import query_columns, tables
from jobs.dbaccess.catalog.kinds import COMPOSITE, HSTORE
from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def columns(session: Session) -> tuple[Column, ...]:
    table = tables.find_table(session, TableName("t"))
    assert table is not None
    return table.columns


def kinds(session: Session) -> dict[str, str]:
    """The kinds of the columns of the table t, in which a load and an extract agree."""
    of_load = {column.name: column.kind for column in columns(session)}
    of_extract = {column.name: column.scalar.kind for column in query_columns.describe(session, "SELECT * FROM t")}
    assert of_load == of_extract
    return of_load


def test_types_that_only_have_the_name_of_an_extensions_are_of_no_kind(session: Session) -> None:
    session.run("CREATE DOMAIN vector AS real[]; CREATE TYPE hstore AS ENUM ('a'); CREATE DOMAIN halfvec AS text")
    session.run("CREATE TABLE t (a vector, b vector[], c hstore, d hstore[], e halfvec, f int4)")
    assert set(kinds(session).values()) == {""}


def test_an_extensions_type_is_found_in_any_schema_below_domains_and_arrays(session: Session) -> None:
    if not session.run("SELECT 1 FROM pg_available_extensions WHERE name = 'hstore'"):
        pytest.skip("this server has no hstore")
    session.run("CREATE SCHEMA far; CREATE EXTENSION hstore SCHEMA far; CREATE DOMAIN tags AS far.hstore")
    session.run("CREATE TABLE t (a far.hstore, b far.hstore[], c tags, d tags[], e text)")
    assert kinds(session) == {"a": HSTORE, "b": HSTORE, "c": HSTORE, "d": HSTORE, "e": ""}
    session.pin()
    assert [column.type_name for column in columns(session)][:2] == ["far.hstore", "far.hstore[]"]


MADE = """
CREATE TYPE pair AS (a int, gone text, "B b" varchar(5)[]);
ALTER TYPE pair DROP ATTRIBUTE gone;
CREATE DOMAIN twin AS pair;
CREATE TABLE place (id int PRIMARY KEY, at pair NOT NULL);
CREATE TABLE t (p pair, many twin[], whole place)
"""


def test_a_composite_type_has_its_fields_at_any_depth(session: Session) -> None:
    session.run(MADE)
    pair = (
        Column("a", "integer", "int4", "N"),
        Column("B b", "character varying(5)[]", "_varchar", "A", element="varchar", element_category="S"),
    )
    at = Column("at", "pair", "pair", "C", required=True, kind=COMPOSITE, fields=pair)
    place = (Column("id", "integer", "int4", "N", required=True), at)
    assert columns(session) == (
        Column("p", "pair", "pair", "C", kind=COMPOSITE, fields=pair),
        Column("many", "twin[]", "_twin", "A", element="pair", element_category="C", kind=COMPOSITE, fields=pair),
        Column("whole", "place", "place", "C", kind=COMPOSITE, fields=place),
    )


def test_a_query_has_the_fields_of_composite_types_with_their_types(session: Session) -> None:
    session.run(MADE)
    [p, many, whole, row] = query_columns.describe(session, "SELECT *, ROW(1, 2) AS row FROM t")
    shape = [(field.name, field.scalar.base, field.dimensions) for field in p.scalar.fields]
    assert shape == [("a", "int4", 0), ("B b", "varchar", 1)]
    assert many.scalar.fields == p.scalar.fields
    assert many.dimensions == 1
    assert whole.scalar.fields[1].scalar.fields == p.scalar.fields
    assert (row.scalar.kind, row.scalar.fields) == ("", ())  # nobody knows the fields of an anonymous row
