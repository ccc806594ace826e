"""run_query.py: what it prints, its exit status, and that it needs neither Spark nor the packages that Spark brings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from libpq import environment
from lineage_server import lineage_server

from jobs.dbaccess.conninfo.settings import Settings
from jobs.run_query import main

SAYS_WHAT_IS_LOADED = """
import sys
from jobs.run_query import main
status = main(sys.argv[1:], __import__("os").environ)
sys.exit(9 if {"pyspark", "boto3", "pyarrow"} & set(sys.modules) else status)
"""


def test_the_result_and_what_was_done_are_printed(
    database: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "query.sql"
    script.write_text("\ufeffCREATE TABLE t AS SELECT :day::date AS day;\nSELECT day, 'ä;' AS name FROM t")
    report = tmp_path / "report.json"
    arguments = ["--sql-file", str(script), "--param", "day=2026-11-20", "--load-id", "x", "--report", str(report)]
    assert main(arguments, environment(database)) == 0
    *table, empty, summary = capsys.readouterr().out.splitlines()
    assert table == ["day        | name", "-----------+-----", "2026-11-20 | ä;"]
    assert not empty
    assert summary.startswith("ran 2 statements in ")
    assert summary.endswith(" s: CREATE TABLE 1 row; SELECT 1 row")
    assert [done["line"] for done in json.loads(report.read_text())["statements"]] == [1, 2]
    assert main(arguments, environment(database)) == 0
    assert capsys.readouterr().out.startswith("already run: the load id 'x' is recorded")


@pytest.mark.parametrize("autocommit", [(), ("--autocommit",)])
def test_a_marker_table_of_its_own_records_the_run(
    database: Settings, capsys: pytest.CaptureFixture[str], autocommit: tuple[str, ...]
) -> None:
    def run(marker_table: str) -> str:
        arguments = ["--sql", "SELECT 1", "--load-id", "x", "--marker-table", marker_table, *autocommit]
        assert main(arguments, environment(database)) == 0
        return capsys.readouterr().out.splitlines()[-1].split(maxsplit=1)[0]

    assert [run(table) for table in ("marks", "public.marks", "table_updates")] == ["ran", "already", "ran"]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--sql", "SELECT 1 / 0"], 1, "error: Line 1, SELECT: division by zero (SQLSTATE 22012).\n"),
        (["--sql", "SELECT 1; COMMIT"], 2, "error: Line 1: COMMIT begins or ends a transaction."),
        (["--sql", "-- "], 2, "error: The SQL contains no statement."),
        (["--sql-file", "/none.sql"], 2, "error: The SQL file /none.sql cannot be read: No such file or directory."),
        (["--sql", "SELECT :a", "--param", "a=1", "--param", "a=2"], 2, "error: --param gives a more than once."),
    ],
)
def test_an_error_is_one_line_and_a_status(
    database: Settings, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, told: str
) -> None:
    assert main([*arguments, "--load-id", "x"], environment(database)) == status
    printed = capsys.readouterr()
    assert printed.err.startswith(told)
    assert printed.err.count("\n") == 1
    assert not printed.out


def test_a_failure_is_reported_with_its_sqlstate(database: Settings, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    arguments = ["--sql", "SELECT 1 / 0", "--load-id", "x", "--report", str(report)]
    assert main(arguments, environment(database)) == 1
    written = json.loads(report.read_text())
    assert (written["status"], written["load_id"]) == ("failed", "x")
    assert (written["error"]["type"], written["error"]["sqlstate"]) == ("DataRejected", "22012")


def test_a_server_of_lineage_is_told_how_the_run_ended(database: Settings) -> None:
    arguments = ["--table", "sums", "--load-id", "x", "--sql"]
    environ = {**environment(database), "OPENLINEAGE_NAMESPACE": "shop", "OPENLINEAGE_API_KEY": "word"}
    with lineage_server() as server:
        told = ["--lineage-url", server.url]
        assert main([*arguments, "CREATE TABLE sums AS SELECT 1 AS a", *told], environ) == 0
        assert main([*arguments, "SELECT 1 / 0", "--load-id", "y", *told], environ) == 1
    assert server.kinds == ["START", "COMPLETE", "START", "FAIL"]
    assert {(event["job"]["namespace"], event["job"]["name"]) for event in server.events} == {
        ("shop", "run_query.sums")
    }
    ids = [event["run"]["runId"] for event in server.events]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    place = database.servers[0]
    assert server.events[1]["outputs"] == [
        {"namespace": f"postgres://{place.host}:{place.port}", "name": f"{database.dbname}.public.sums"}
    ]
    assert "division by zero" in server.events[3]["run"]["facets"]["errorMessage"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sql", "SELECT 1"],
        ["--load-id", "x"],
        ["--sql", "x", "--param", "1=2"],
        ["--sql", "x", "--load-id", "x", "--format", "csv"],
        ["--sql", "x", "--load-id", "x", "--target", "/x", "--autocommit"],
    ],
)
def test_a_wrong_command_line_ends_with_status_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2


def test_no_spark_is_started_or_imported(database: Settings) -> None:
    command = [sys.executable, "-c", SAYS_WHAT_IS_LOADED, "--sql", "SELECT 1", "--load-id", "x"]
    done = subprocess.run(command, env=environment(database), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
