"""The result of a script as a table: the rows of its last query, whatever kind of statement that is."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import DatabaseError, ExtractError, UsageError
from jobs.dbaccess.query import result, script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT, Done, run_statements
from jobs.dbaccess.query.result import Pending, Result
from jobs.dbaccess.session import Session

NAME = result.name_of("x")


def kept(session: Session, sql: str, **values: object) -> Pending:
    done: list[Done] = []
    with session.transaction(**PARSED_AS_SPLIT):
        into = Result(session, NAME)
        run_statements(session, script.split(sql, values), values, done, into=into)
        return into.keep(session, "x", "/lake")


def rows_of(session: Session, pending: Pending) -> list[list[object]]:
    return session.run(f"SELECT * FROM {pending.table.quoted} ORDER BY 1")


@pytest.fixture
def table(session: Session) -> Session:
    session.run("CREATE TABLE t (a int, b numeric(5,2)); INSERT INTO t VALUES (1, 1.5), (2, NULL)")
    return session


NESTED = (
    'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3), "select" AS (SELECT 1) '
    "INSERT INTO t SELECT i * 10 FROM n RETURNING a"
)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ('SELECT 0 AS first; SELECT a, \'x;\' AS "B "" c" FROM t -- all', [[1, "x;"], [2, "x;"]]),
        ("VALUES (:n::int + 1, ':n')", [[8, ":n"]]),
        ("TABLE t; SHOW TimeZone; EXPLAIN SELECT 1; SET work_mem = '8MB'", None),
        ("SELECT a FROM t WHERE a > :n::int", []),
        ("DELETE FROM t WHERE a < :n RETURNING a", [[1], [2]]),
        ("INSERT INTO t VALUES (:n) RETURNING a, b", [[7, None]]),
        ("UPDATE t SET a = a + 1 RETURNING t.*", None),
        ("/* a */ WITH gone AS (DELETE FROM t RETURNING a) SELECT a, :n::text FROM gone;", [[1, "7"], [2, "7"]]),
        (NESTED, [[10], [20], [30]]),
        ("(SELECT a FROM t) UNION SELECT 5", [[1], [2], [5]]),
        ("WITH one AS (SELECT 1 AS a) (SELECT a FROM one)", [[1]]),
        ("SELECT a INTO made FROM t; SELECT count(*) FROM made", [[2]]),
    ],
)
def test_the_rows_of_the_last_query_are_kept(table: Session, sql: str, rows: list[list[object]] | None) -> None:
    values = {"n": "7"} if ":n" in sql.replace("':n'", "") else {}
    pending = kept(table, sql, **values)
    found = rows_of(table, pending)
    assert len(found) == pending.rows
    if rows is not None:
        assert found == rows
    assert result.find(table, NAME) == pending
    result.drop(table, pending, lambda: None)
    assert result.find(table, NAME) is None


def test_types_are_those_of_the_query(table: Session) -> None:
    table.run("CREATE SCHEMA far; CREATE TYPE far.mood AS ENUM ('good')")
    pending = kept(table, "SELECT b, '{1}'::int[] AS c, 'good'::far.mood AS d, 'x'::varchar(3) AS e, NULL AS f FROM t")
    found = tables.find_table(table, pending.table)
    assert found is not None
    types = [column.type_name for column in found.columns]
    assert types == ["numeric(5,2)", "integer[]", "far.mood", "character varying(3)", "text"]


@pytest.mark.parametrize(
    ("sql", "error", "told"),
    [
        ("SELECT 1 AS a, 2 AS a", UsageError, "Line 1, SELECT: The query has more than one column a"),
        ("CREATE TABLE u (a int); SHOW TimeZone", UsageError, "None of the statements is a query"),
        ("SELECT ROW(1, 2)", DatabaseError, "Line 1, SELECT: .*pseudo-type record"),
        ("SELECT 1;\nSELECT 1 / 0", DatabaseError, "Line 2, SELECT: division by zero"),
        ("SELECT 1;\nSELECT a FROM nowhere", DatabaseError, "Line 2, SELECT: relation"),
    ],
)
def test_what_cannot_be_kept_is_told_and_nothing_is_done(
    table: Session, sql: str, error: type[Exception], told: str
) -> None:
    with pytest.raises(error, match=told):
        kept(table, sql)
    assert table.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1") == [
        ["t"],
        ["table_updates"],
    ]


def test_no_statement_may_undo_the_result() -> None:
    with pytest.raises(UsageError, match="Line 1: ROLLBACK TO is not possible together with --target"):
        result.check(script.split("SAVEPOINT s; SELECT 1; ROLLBACK TO s"))


def test_a_result_that_a_crash_emptied_or_somebody_changed_is_not_taken_for_it(table: Session) -> None:
    pending = kept(table, "TABLE t")
    assert table.run("SELECT relpersistence::text FROM pg_class WHERE relname = %s", NAME) == [["p"]]
    table.run(f"TRUNCATE {pending.table.quoted}")
    with pytest.raises(ExtractError, match=r"The result of an earlier run is lost: .* has 0 of 2 rows"):
        result.find(table, NAME)
    table.run(f"COMMENT ON TABLE {pending.table.quoted} IS 'mine'")
    with pytest.raises(ExtractError, match="has no comment of ours"):
        result.find(table, NAME)
    assert kept(table, "SELECT 1").rows == 1  # of a load id that was forgotten
