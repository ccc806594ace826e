"""SQL is run once for a load id, whatever breaks; its values are bound."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from faults import Cut, cuts_on_the_way_to

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.query.call import run_query
from jobs.flows.query.job import QueryInterrupted
from jobs.flows.query.report import QueryReport

FILL = "CREATE TABLE IF NOT EXISTS t (a int, b text); INSERT INTO t VALUES (:a, :b), (2, 'two')"


class Run:
    """Runs SQL with the usual job."""

    def __init__(self, database: Settings) -> None:
        self._database = database

    def __call__(self, sql: str, load_id: str = "x", autocommit: bool = False, **values: object) -> QueryReport:
        return run_query(sql, settings=self._database, load_id=load_id, values=values, table="t", autocommit=autocommit)


@pytest.fixture
def run(database: Settings) -> Run:
    return Run(database)


def rows(session: Session) -> list[list[object]]:
    return session.run("SELECT a, b FROM t ORDER BY a")


def test_statements_and_marker_are_written_together_and_once(run: Run, session: Session) -> None:
    report = run(FILL, a="1", b="'); DROP TABLE t; --")
    assert [(done.statement, done.rows) for done in report.statements] == [("CREATE TABLE", None), ("INSERT INTO", 2)]
    again = run(FILL, a="1", b="x")
    assert again.already_run
    assert again.statements == ()
    assert rows(session) == [[1, "'); DROP TABLE t; --"], [2, "two"]]
    assert session.run("SELECT update_id, target_table FROM table_updates") == [["x", "public.t"]]


def test_the_rows_of_the_last_query_are_returned(run: Run) -> None:
    report = run("SELECT 0 AS zero; SELECT :n::int + 1 AS one, NULL AS nothing; SET work_mem = '8MB'", n="1")
    assert report.result is not None
    assert (report.result.columns, list(report.result.rows)) == (("one", "nothing"), [[2, None]])
    assert json.loads(report.to_json())["statements"][1]["rows"] == 1
    assert "result" not in json.loads(report.to_json())


def test_values_have_the_types_that_the_statement_wants(run: Run) -> None:
    sql = "SELECT :day::date + 1, n FROM generate_series(1, 5) AS n WHERE n > :least ORDER BY n LIMIT :most"
    report = run(sql, day="2026-11-20", least="2", most="1")
    assert report.result is not None
    assert [list(map(str, row)) for row in report.result.rows] == [["2026-11-21", "3"]]


def test_a_statement_that_fails_undoes_all_and_its_line_is_told(run: Run, session: Session) -> None:
    with pytest.raises(DatabaseError, match=r"Line 3, SELECT: division by zero"):
        run("CREATE TABLE t (a int);\nINSERT INTO t VALUES (1);\nSELECT 1 / 0")
    assert session.run("SELECT to_regclass('t')::text") == [[None]]
    assert not LUIGIS.is_recorded(session, "x", TableName("t", "public"))
    assert not run("CREATE TABLE t (a int)").already_run


def test_a_name_without_a_value_is_named(run: Run) -> None:
    with pytest.raises(DatabaseError, match="No value was given for :day"):
        run("SELECT :day::date")


@pytest.mark.parametrize("statement", ["COMMIT", "ROLLBACK", "BEGIN", "COPY t FROM STDIN", "COPY t TO stdout"])
@pytest.mark.parametrize("autocommit", [False, True])
def test_what_would_break_the_transaction_or_the_connection_is_refused_before_it_is_run(
    run: Run, session: Session, statement: str, autocommit: bool
) -> None:
    with pytest.raises(UsageError, match="Line 2"):
        run(f"CREATE TABLE t (a int);\n{statement}", autocommit=autocommit)
    assert session.run("SELECT to_regclass('t')::text") == [[None]]


def test_what_cannot_be_in_a_transaction_is_run_with_autocommit(run: Run, session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    sql = "VACUUM t; CREATE INDEX CONCURRENTLY i ON t (a)"
    with pytest.raises(DatabaseError, match="Give --autocommit"):
        run(sql)
    assert [done.statement for done in run(sql, autocommit=True).statements] == ["VACUUM", "CREATE INDEX"]
    assert run(sql, autocommit=True).already_run


def test_with_autocommit_a_failure_tells_what_had_been_committed(run: Run, session: Session) -> None:
    with pytest.raises(DatabaseError, match=r"1 of 2 statements had been committed, and the marker was not"):
        run("CREATE TABLE t (a int, b text); SELECT 1 / 0", autocommit=True)
    assert rows(session) == []
    assert not LUIGIS.is_recorded(session, "x", TableName("t", "public"))


def test_a_load_id_of_another_table_is_refused(run: Run, database: Settings) -> None:
    run("SELECT 1")
    for autocommit in (False, True):
        with pytest.raises(UsageError, match=r"taken by a marker of 'public\.t'"):
            run_query("SELECT 1", settings=database, load_id="x", autocommit=autocommit)


@pytest.mark.parametrize("autocommit", [False, True])
def test_two_runs_with_one_id_run_the_sql_once(run: Run, session: Session, autocommit: bool) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    sql = "SELECT pg_sleep(0.3); INSERT INTO t VALUES (1, 'one')"
    with ThreadPoolExecutor() as pool:
        reports = list(pool.map(lambda _: run(sql, autocommit=autocommit), range(3)))
    assert sorted(report.already_run for report in reports) == [False, True, True]
    assert rows(session) == [[1, "one"]]


@pytest.mark.parametrize("answered", [False, True])
def test_a_lost_answer_to_commit_is_looked_up(database: Settings, session: Session, answered: bool) -> None:
    """Whether COMMIT was done or never came, the rows are there once."""
    session.run("CREATE TABLE t (a int, b text)")
    cut = Cut("pgjobs query", b"COMMIT", b"INSERT INTO t", answered=answered)
    with cuts_on_the_way_to(database, cut) as way:
        report = run_query("INSERT INTO t VALUES (1, 'one')", settings=way, load_id="x")
    assert cut.cut
    assert [done.rows for done in report.statements] == [1]
    assert not report.already_run
    assert rows(session) == [[1, "one"]]


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(database: Settings, session: Session) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    sql = "INSERT INTO t VALUES (1, 'one'); SELECT 'cut here'"
    cut = Cut("pgjobs query", b"cut here")
    with cuts_on_the_way_to(database, cut) as way, pytest.raises(QueryInterrupted, match="Nothing was done"):
        run_query(sql, settings=way, load_id="x")
    assert rows(session) == []
    assert not run_query(sql, settings=database, load_id="x").already_run


def test_backslashes_mean_what_the_splitter_takes_them_for(database: Settings, session: Session, run: Run) -> None:
    """A database may have standard_conforming_strings off, so that its sessions end a quote elsewhere."""
    session.run(f"ALTER DATABASE {database.dbname} SET standard_conforming_strings = off")
    for autocommit in (False, True):
        report = run(r"SELECT '\' AS a; SELECT '; b' AS b", f"{autocommit}", autocommit=autocommit)
        assert report.result is not None
        assert (len(report.statements), list(report.result.rows)) == (2, [["; b"]])
