"""Filters and queries of users: what is not one expression, or not one SELECT, never gets into a statement."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.selection import Selection, check_query, filtered
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@pytest.fixture(scope="module")
def session(server: Settings) -> Iterator[Session]:
    """A session with a table of its own, for all tests of this module: none changes anything."""
    with connect(server, "pgjobs tests") as opened:
        opened.run(
            "CREATE TEMP TABLE t AS SELECT n AS id, 'row ' || n AS name, n > 5 AS flag FROM generate_series(1, 10) n"
        )
        yield opened


TABLE = Selection.of_table(TableName("t", "pg_temp"))


@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("id > 8", [9, 10]),
        ("flag", [6, 7, 8, 9, 10]),
        ("id = 1 OR id = 2", [1, 2]),
        ("id % 5 = 0", [5, 10]),
        ("name LIKE '%1%'", [1, 10]),
        ("id IN (SELECT max(id) FROM t)", [10]),
        ("EXISTS (SELECT 1 WHERE t.id = 3)", [3]),
        ("id = 4 -- the fourth", [4]),
        ("/* the fifth */ id = 5", [5]),
        ("name = $$row 6$$", [6]),
        ("name IN ('a) OR (b', 'row 7;', 'row 7')", [7]),
        ("CASE id WHEN 8 THEN true END", [8]),
        ("NULL", []),
    ],
)
def test_a_boolean_expression_is_taken_as_a_whole(session: Session, condition: str, kept: list[int]) -> None:
    """With another condition after it, which it must not take in."""
    selection = filtered(session, TABLE, condition).where("id > 0")
    assert [row[0] for row in session.run(selection.select(["id"]) + " ORDER BY id")] == kept


@pytest.mark.parametrize(
    "condition",
    [
        "id = 1) OR (id = 2",
        "true) UNION SELECT (1",
        "1=1; DROP TABLE t",
        "1=1); DROP TABLE t; --",
        "true) --",
        "true /*",
        "] OR ARRAY[true",
        "true], ARRAY[false",
        "'unclosed",
        "$$unclosed",
        "id",
        "1",
        "name",
        "id = 1, id = 2",
        "id = 1 ORDER BY id",
        "true GROUP BY id",
        "count(*) > 1",
        "row_number() OVER () = 1",
        "generate_series(1, 2) = 1",
        "SELECT true",
        "nosuch = 1",
        "id = $1",
        "",
        "-- nothing",
        "*",
    ],
)
def test_what_is_not_one_boolean_expression_is_refused(session: Session, condition: str) -> None:
    with pytest.raises(UsageError, match="not one boolean expression over the columns"):
        filtered(session, TABLE, condition)
    assert session.run("SELECT count(*) FROM t") == [[10]]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1 AS a",
        "SELECT 1 AS a;",
        "SELECT 1 AS a -- and no more",
        "SELECT 1 AS a -- and no more;",
        "  SELECT 1 AS a ;  \n",
        "/* one */ SELECT 1 AS a",
        "WITH w AS (SELECT 1 AS a) SELECT * FROM w",
        "VALUES (1)",
        "TABLE t",
        "SELECT 1 AS a UNION ALL SELECT 2 ORDER BY 1 LIMIT 1",
    ],
)
def test_a_select_in_any_form_is_read_from(session: Session, query: str) -> None:
    check_query(session, query)
    session.run(Selection.of_query(query).select(["*"]))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "nosuch",
        "SELECT * FROM nosuch",
        "DELETE FROM t",
        "WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone",
        "DROP TABLE t",
        "SELECT 1; SELECT 2",
        "SELECT 1; -- done",
        "SELECT 1) AS a; DROP TABLE t; --",
    ],
)
def test_what_is_no_select_is_refused(session: Session, query: str) -> None:
    with pytest.raises(UsageError, match="The query cannot be extracted: "):
        check_query(session, query)
    assert session.run("SELECT count(*) FROM t") == [[10]]
