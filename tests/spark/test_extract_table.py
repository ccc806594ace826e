"""extract_table.py as a user runs it: files and a report, refusals in one line, and what befalls it on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from libpq import environment
from lineage_server import lineage_server
from pyspark.sql import SparkSession
from submitted import Submitted, submit, until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.extract_table import main

SCRIPT = Path(__file__).parents[2] / "src" / "jobs" / "extract_table.py"
RETRYING, CLUSTER = "local[2,4]", "local-cluster[2,1,1024]"

ROWS = 5000
CREATE = f"CREATE TABLE t AS SELECT n AS id, 'row ' || n AS name FROM generate_series(1, {ROWS}) n"
LOCK = 16
HELD_UP = ["--filter", f"id < {ROWS} - 5 OR pg_advisory_xact_lock_shared({LOCK}) IS NOT NULL", "--parallelism", "2"]
"""The last part waits before its last rows, so that something can happen in its middle."""


def submit_extract(arguments: list[str], master: str, database: Settings, folder: Path) -> Submitted:
    """Extract into `files` below the folder."""
    return submit(SCRIPT, ["--target", "files", *arguments], {"spark.master": master}, database, folder)


def assert_each_row_once(spark: SparkSession, folder: Path) -> None:
    found = spark.read.parquet(str(folder / "files")).selectExpr("count(*)", "count(DISTINCT id, name)", "sum(id)")
    assert [list(row) for row in found.collect()] == [[ROWS, ROWS, ROWS * (ROWS + 1) // 2]]


@contextmanager
def holding_up(session: Session) -> Iterator[None]:
    """Who reads the last rows waits meanwhile."""
    session.run("SELECT pg_advisory_lock(%s)", LOCK)
    yield
    session.run("SELECT pg_advisory_unlock(%s)", LOCK)


def held_up(session: Session) -> list[int]:
    """The parts' sessions that are in their middle."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'advisory' AND datname = current_database()"
    return [pid for [pid] in session.run(query)]


def assert_no_connection(session: Session) -> None:
    query = "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^pgjobs' AND pid <> pg_backend_pid() "
    until(
        lambda: not session.run(f"{query} AND datname = current_database() AND application_name !~ 'tests'"), "the end"
    )


@pytest.mark.usefixtures("spark")
def test_a_table_is_extracted_and_reported(
    session: Session, database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run(
        "CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, 'a,b' FROM generate_series(1, 3) n"
    )
    wanted = ["--table", "t", "--columns", "x", "--filter", "id <> 2", "--require-primary-key"]
    target = ["--target", str(tmp_path / "files"), "--format", "csv", "--option", "header=true"]
    with lineage_server() as server:
        told = ["--report", str(tmp_path / "report.json"), "--lineage-url", server.url]
        assert main([*wanted, *target, *told], environment(database)) == 0
    assert capsys.readouterr().out.startswith(f"extracted 2 rows of t to {tmp_path}/files in ")
    [file] = (tmp_path / "files").glob("*.csv")
    assert file.read_text() == 'id,x\n1,"a,b"\n3,"a,b"\n'
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["rows"], report["bytes"], report["parts"]) == (2, 12, 1)
    assert (report["watermark_from"], report["watermark_to"]) == (None, None)
    assert report["snapshot"].count(":") == 2
    assert set(report["seconds"]) == {"prepare", "read", "total"}
    [source], [files] = server.events[1]["inputs"], server.events[1]["outputs"]
    assert (source["name"], files["name"]) == (f"{database.dbname}.public.t", str(tmp_path / "files"))
    assert files["facets"]["schema"]["fields"] == [{"name": "id", "type": "int"}, {"name": "x", "type": "string"}]
    assert files["outputFacets"]["outputStatistics"]["rowCount"] == 2


def test_a_task_that_fails_halfway_is_run_again_in_the_same_snapshot(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_extract(["--table", "t", *HELD_UP], RETRYING, database, tmp_path) as job:
        with holding_up(session):
            job.until(lambda: held_up(session), "the middle of a part")
            session.run("INSERT INTO t VALUES (0, 'too late')")
            [part] = held_up(session)
            assert session.run("SELECT pg_terminate_backend(%s)", part) == [[True]]
        assert job.status() == 0, job.output
    assert_each_row_once(spark, tmp_path)
    assert f"extracted {ROWS:,} rows" in job.output


def test_lost_executors_cost_no_row_and_double_none(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with submit_extract(["--table", "t", *HELD_UP], CLUSTER, database, tmp_path) as job:
        with holding_up(session):
            job.until(lambda: held_up(session), "the middle of a part")
            job.kill_executors()
        assert job.status() == 0, job.output
    assert_each_row_once(spark, tmp_path)


def test_ctrl_c_ends_an_extract_with_a_line_and_keeps_no_file(
    session: Session, database: Settings, tmp_path: Path
) -> None:
    session.run(CREATE)
    with holding_up(session), submit_extract(["--table", "t", *HELD_UP], RETRYING, database, tmp_path) as job:
        job.until(lambda: held_up(session), "the middle of a part")
        job.interrupt()
        assert job.status() != 0
    assert job.told == ["error: interrupted. Run it again to complete it, or to confirm that it is done."]
    assert_no_connection(session)
    assert list((tmp_path / "files").glob("*.parquet")) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--table", "a.b.c"], "error: 'a.b.c' is not a table's name."),
        (["--table", "nosuch"], "error: There is no table nosuch. Check its name and schema"),
        (["--table", "t", "--columns", "nosuch"], "error: t has no column nosuch: it has id, name. Correct the name."),
        (["--table", "t", "--filter", "id) OR (true"], "error: The filter is not one boolean expression"),
        (["--query", "SELECT nosuch"], 'error: The query cannot be extracted: column "nosuch" does not exist'),
        (["--table", "t", "--ordinal-column", "id"], "error: An ordinal column is for incremental extracts."),
        (
            ["--table", "t", "--watermark-id", "w", "--write-mode", "append", "--deletes"],
            "error: public.t has no primary key, by which",
        ),
    ],
)
def test_what_is_wrong_is_one_line_and_status_2_before_spark_starts(
    session: Session, database: Settings, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    session.run("CREATE TABLE t (id int, name text)")
    environ = {**environment(database), "PGSSLMODE": "disable"}
    assert main(["--target", "files", *arguments], environ) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(told)
