"""A query whose result is written to files: once for a load id, whatever breaks."""

from __future__ import annotations

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from faults import Cut, cuts_on_the_way_to
from libpq import environment
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, ExtractError, UsageError
from jobs.dbaccess.query.result import Pending
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import Output
from jobs.flows.query.call import run_query
from jobs.flows.query.job import QueryJob, run
from jobs.flows.query.report import QueryReport
from jobs.flows.query.target import keep_one_write
from jobs.run_query import main

TAKE = "DELETE FROM outbox RETURNING id, body"


@pytest.fixture
def outbox(session: Session) -> Session:
    session.run("CREATE TABLE outbox AS SELECT id, 'row ' || id AS body FROM generate_series(1, 100) AS id")
    return session


def taken(database: Settings, target: Path, load_id: str = "x") -> QueryReport:
    return run_query(TAKE, settings=database, load_id=load_id, target=str(target))


def ids(spark: SparkSession, target: Path) -> list[int]:
    return sorted(row.id for row in spark.read.parquet(str(target)).collect())


def results(session: Session) -> list[list[object]]:
    return session.run("SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs_result_%'")


def no_spark() -> SparkSession:
    raise AssertionError("Spark was started")


def test_a_result_is_written_once(spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path) -> None:
    report = taken(database, tmp_path / "out")
    assert [(done.statement, done.rows) for done in report.statements] == [("DELETE FROM", 100)]
    assert (report.target, report.rows_written, report.result) == (str(tmp_path / "out"), 100, None)
    assert report.summary().endswith(f"DELETE FROM 100 rows; wrote 100 rows to {tmp_path / 'out'}")
    assert ids(spark, tmp_path / "out") == list(range(1, 101))
    assert results(outbox) == []
    outbox.run("INSERT INTO outbox VALUES (101, 'later')")
    job = QueryJob(database, TAKE, "x", output=Output(str(tmp_path / "out")))
    assert run(job, no_spark).summary().endswith("Nothing was run.")
    assert ids(spark, tmp_path / "out") == list(range(1, 101))
    assert outbox.run("SELECT id FROM outbox") == [[101]]


def test_a_run_that_ends_after_its_commit_leaves_the_result_to_the_next_one(
    spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The first one dies when it is about to write; the second one, when it has written and not yet said so."""
    target = tmp_path / "out"
    job = QueryJob(database, TAKE, "x", output=Output(str(target)))
    starts = iter([spark])
    with pytest.raises(StopIteration):
        run(job, lambda: next(starts))
    assert outbox.run("SELECT count(*) FROM outbox") == [[0]]
    [[table]] = results(outbox)
    assert f"The statements are committed, and public.{table} has their result. Run it again" in caplog.text
    spark.range(5).write.parquet(str(target))  # what an attempt wrote that was killed before it dropped the result
    with pytest.raises(UsageError, match=f"is to be written to {target}, where an earlier run may have begun"):
        taken(database, tmp_path / "elsewhere")
    report = run(job, lambda: spark)
    assert (report.already_run, report.rows_written, report.statements) == (True, 100, ())
    assert report.summary().endswith(f"An earlier run had left its result: wrote 100 rows to {target}.")
    assert ids(spark, target) == list(range(1, 101))
    assert results(outbox) == []
    assert run(job, no_spark).rows_written is None


@pytest.mark.parametrize("answered", [False, True])
def test_a_lost_answer_to_commit_neither_loses_nor_repeats_the_result(
    spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path, answered: bool
) -> None:
    cut = Cut("pgjobs query", b"COMMIT", b"COMMENT ON TABLE", answered=answered)
    with cuts_on_the_way_to(database, cut) as way:
        report = taken(way, tmp_path / "out")
    assert cut.cut
    assert (report.rows_written, report.already_run) == (100, False)
    assert ids(spark, tmp_path / "out") == list(range(1, 101))
    assert results(outbox) == []


def test_a_connection_that_breaks_while_files_are_written_costs_nothing(
    spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path
) -> None:
    """It holds the lock that keeps other runs away."""
    ended: list[object] = []

    def start() -> SparkSession:
        if outbox.run("SELECT count(*) FROM outbox") == [[0]]:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgjobs query%'"
            ended.extend(outbox.run(query))
        return spark

    report = run(QueryJob(database, TAKE, "x", output=Output(str(tmp_path / "out"))), start)
    assert ended == [[True]]
    assert report.rows_written == 100
    assert ids(spark, tmp_path / "out") == list(range(1, 101))
    assert results(outbox) == []


def test_a_run_that_lost_its_lock_while_it_wrote_and_the_one_that_got_it_write_each_row_once(
    spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path
) -> None:
    """The first one waits, about to write, until the second one has written; this one then waits for the first."""
    job = QueryJob(database, TAKE, "x", output=Output(str(tmp_path / "out")))
    others: list[Future[QueryReport]] = []

    def start() -> SparkSession:
        if not others and outbox.run("SELECT count(*) FROM outbox") == [[0]]:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'pgjobs query%'"
            outbox.run(query)
            others.append(pool.submit(run, job, lambda: spark))
            until((tmp_path / "out" / "_SUCCESS").exists, "the second one to write")
        return spark

    with ThreadPoolExecutor() as pool:
        first = run(job, start)
    assert (first.rows_written, others[0].result().rows_written) == (100, 100)
    assert ids(spark, tmp_path / "out") == list(range(1, 101))
    assert results(outbox) == []


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_of_several_writes_one_that_is_complete_is_kept(spark: SparkSession, tmp_path: Path, file_format: str) -> None:
    target = tmp_path / "out"
    output = Output(str(target), file_format, options={"header": "true"} if file_format == "csv" else {})
    for rows in (60, 100, 100, 40):
        df = spark.range(1, rows + 1).selectExpr("id", r"'two\nlines' AS body").repartition(2)
        df.write.format(file_format).options(**output.options).mode("append").save(str(target))
    pending = Pending(TableName("t"), str(target), 100)
    keep_one_write(pending, output)
    kept = spark.read.format(file_format).options(multiLine=True, **output.options).load(str(target))
    assert sorted(int(row.id) for row in kept.collect()) == list(range(1, 101))
    with pytest.raises(ExtractError, match="none of them all of its 99 rows"):
        spark.range(1).write.format(file_format).mode("append").save(str(target))
        keep_one_write(replace(pending, rows=99), output)


def test_nothing_is_run_if_the_target_exists_or_a_statement_fails(
    spark: SparkSession, outbox: Session, database: Settings, tmp_path: Path
) -> None:
    spark.range(3).write.parquet(str(tmp_path / "mine"))
    with pytest.raises(UsageError, match=r"/mine exists\. Nothing was run"):
        taken(database, tmp_path / "mine")
    with pytest.raises(DatabaseError, match="division by zero"):
        run_query(f"{TAKE}; SELECT 1 / 0", settings=database, load_id="x", target=str(tmp_path / "out"))
    assert outbox.run("SELECT count(*) FROM outbox") == [[100]]
    assert results(outbox) == []
    replaced = run_query(TAKE, settings=database, load_id="x", target=str(tmp_path / "mine"), write_mode="overwrite")
    assert replaced.rows_written == 100
    assert ids(spark, tmp_path / "mine") == list(range(1, 101))


def test_the_command_writes_the_format_that_is_asked_for(
    spark: SparkSession,  # noqa: ARG001 - the job finds it
    outbox: Session,  # noqa: ARG001 - its table
    database: Settings,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target, report = tmp_path / "out", tmp_path / "report.json"
    sql = "SELECT id, NULLIF(body, 'row 2') AS body FROM outbox WHERE id <= :most ORDER BY id"
    arguments = ["--sql", sql, "--param", "most=2", "--load-id", "x", "--target", str(target), "--format", "csv"]
    assert main([*arguments, "--option", "header=true", "--report", str(report)], environment(database)) == 0
    assert capsys.readouterr().out.endswith(f"SELECT 2 rows; wrote 2 rows to {target}\n")
    assert json.loads(report.read_text())["rows_written"] == 2
    text = "".join(path.read_text() for path in sorted(target.glob("part-*.csv")))
    assert text == "id,body\n1,row 1\n2,\n"
