"""The entrypoint as a user runs it: spark-submit, exit statuses, and what it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jvm
import pg8000
import pytest
from libpq import environment
from lineage_server import lineage_server
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.load_table import main

SCRIPT = Path(__file__).parents[2] / "src" / "jobs" / "load_table.py"

Submit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def submit(spark_submit: list[str], database: Settings, tmp_path: Path) -> Submit:
    """Run load_table.py from an empty folder, connected by PG* variables.

    spark-submit joins the job's standard error to its standard output, and keeps its own for Spark's log.
    """
    environ = {
        **jvm.environ(),
        **environment(database),
    }
    (tmp_path / "cwd").mkdir()

    def run(arguments: Sequence[str], *flags: str) -> subprocess.CompletedProcess[str]:
        command = [*spark_submit, *flags, str(SCRIPT), *arguments]
        return subprocess.run(command, env=environ, cwd=tmp_path / "cwd", capture_output=True, text=True, check=False)

    return run


def lines_of(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines of the job, without those of its progress: a copy that takes ten seconds shows one."""
    return [line for line in done.stdout.splitlines() if not line.startswith("copy [")]


class Done(NamedTuple):
    """What came of a run of load_table.py in this process."""

    status: int
    out: str
    err: str


RunHere = Callable[[Sequence[str]], Done]


@pytest.fixture
def run_here(spark: SparkSession, database: Settings, capsys: pytest.CaptureFixture[str]) -> RunHere:  # noqa: ARG001 - the job finds it
    """Run load_table.py on the Spark of the tests: a promise that spark-submit has no part in needs no other one."""

    def run(arguments: Sequence[str]) -> Done:
        return Done(main(arguments, environment(database)), *capsys.readouterr())

    return run


@pytest.fixture
def trips(tmp_path: Path) -> Path:
    """A CSV file with a missing value."""
    path = tmp_path / "trips.csv"
    path.write_text("id,fare,at\n1,2.50,2026-11-20T08:00:00Z\n2,NA,2026-11-20T09:00:00Z\n")
    return path


def csv(path: Path, *more: str) -> list[str]:
    options = ["--option", "header=true", "--option", "inferSchema=true", "--option", "nullValue=NA"]
    return ["--source", str(path), "--format", "csv", *options, *more]


def test_a_dry_run_tells_what_the_load_does_then(
    run_here: RunHere, trips: Path, session: Session, tmp_path: Path
) -> None:
    arguments = csv(trips, "--table", "trips", "--mode", "upsert", "--keys", "id", "--load-id", "x", "--report")
    planned = run_here([*arguments, str(tmp_path / "plan.json"), "--dry-run"])
    assert planned.status == 0
    assert "plan: upsert by id into public.trips, which it creates, load id 'x'. Nothing was loaded." in planned.out
    assert session.run("SELECT to_regclass('trips')::text") == [[None]]
    done = run_here([*arguments, str(tmp_path / "load.json")])
    assert done.status == 0
    plan, load = (json.loads((tmp_path / name).read_text()) for name in ("plan.json", "load.json"))
    assert (plan["dry_run"], plan["parts"], plan["table"]) == (True, load["parts"], load["table"])
    names = session.run("SELECT attname FROM pg_attribute WHERE attrelid = 'trips'::regclass AND attnum > 0")
    assert [column["column"] for column in plan["columns"]] == [name for [name] in names]
    again = run_here([*arguments, str(tmp_path / "plan.json"), "--dry-run"])
    assert "already loaded" in again.out


@pytest.mark.parametrize("more", [[], ["--verify"]])
def test_a_dry_run_tells_whether_the_rows_are_staged(
    run_here: RunHere, trips: Path, session: Session, tmp_path: Path, more: list[str]
) -> None:
    session.run("CREATE TABLE trips (id int, fare float8, at timestamptz)")
    arguments = csv(trips, "--table", "trips", "--load-id", "x", *more, "--report")
    assert run_here([*arguments, str(tmp_path / "plan.json"), "--dry-run"]).status == 0
    assert run_here([*arguments, str(tmp_path / "load.json")]).status == 0
    plan, load = (json.loads((tmp_path / name).read_text()) for name in ("plan.json", "load.json"))
    assert plan["publish"] == load["publish"]


def test_a_dry_run_refuses_what_the_load_refuses(run_here: RunHere, trips: Path, session: Session) -> None:
    session.run("CREATE TABLE trips (id int, fare int, at timestamptz)")
    arguments = csv(trips, "--table", "trips", "--load-id", "x")
    planned, done = run_here([*arguments, "--dry-run"]), run_here(arguments)
    assert planned.err.splitlines()[-1] == done.err.splitlines()[-1]
    assert (planned.status, done.status) == (2, 2)


def test_a_file_is_loaded_once_and_reported(
    submit: Submit, run_here: RunHere, trips: Path, session: Session, tmp_path: Path
) -> None:
    report_path = tmp_path / "report.json"
    arguments = csv(trips, "--table", "trips", "--load-id", "trips/1", "--verify", "--report", str(report_path))
    first = submit(arguments)
    assert first.returncode == 0
    assert lines_of(first)[0].startswith("loaded 2 rows into public.trips in ")
    assert session.run("SELECT id, fare, extract(epoch FROM at)::bigint FROM trips ORDER BY id") == [
        [1, 2.5, 1795161600],
        [2, None, 1795165200],
    ]
    assert "verified: 2 rows in 3 columns" in first.stdout
    assert json.loads(report_path.read_text())["rows_inserted"] == 2
    second = run_here(arguments)
    assert second.status == 0
    assert second.out == "already loaded: public.trips holds the load 'trips/1'. Nothing was copied.\n"
    assert json.loads(report_path.read_text())["already_loaded"] is True
    assert session.run("SELECT count(*) FROM trips") == [[2]]


def test_workers_without_pyarrow_load_in_pure_python(
    submit: Submit, trips: Path, session: Session, tmp_path: Path
) -> None:
    """The driver has PyArrow; the workers' Python is another one, with all that is here but PyArrow."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(pg8000.__file__).parents[1].iterdir():
        if not entry.name.startswith("pyarrow"):
            (packages / entry.name).symlink_to(entry)
    worker = tmp_path / "worker-python"
    path = f"$PYTHONPATH:{SCRIPT.parents[1]}:{packages}"
    worker.write_text(f'#!/bin/sh\nPYTHONPATH="{path}" exec {Path(sys.executable).resolve()} "$@"\n')
    worker.chmod(0o755)
    pythons = [f"--conf=spark.pyspark.python={worker}", f"--conf=spark.pyspark.driver.python={sys.executable}"]
    done = submit(csv(trips, "--table", "trips"), *pythons)
    assert lines_of(done)[0].startswith("loaded 2 rows into public.trips")
    assert session.run("SELECT count(*) FROM trips") == [[2]]


def test_an_empty_folder_deletes_nothing_unless_all_rows_may_be_deleted(
    run_here: RunHere, spark: SparkSession, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text)")
    session.run("INSERT INTO t SELECT g, 'old' FROM generate_series(1, 10) AS g")
    spark.createDataFrame([], "a int, b string").write.parquet(str(tmp_path / "empty"))
    wanted = ["--source", str(tmp_path / "empty"), "--table", "t", "--load-id", "x"]
    arguments = [*wanted, "--mode", "upsert", "--keys", "a", "--delete-missing"]
    failed = run_here(arguments)
    assert failed.status == 1
    assert "would delete 10 of the 10 rows of public.t, because the data lacks their keys" in failed.err
    assert "Nothing was changed. Check that the data is complete, or give a larger --max-delete-share: 1" in failed.err
    assert session.value("SELECT count(*) FROM t WHERE b = 'old'") == 10
    assert run_here([*arguments, "--max-delete-share", "1"]).status == 0
    assert session.value("SELECT count(*) FROM t") == 0


def test_a_query_chooses_renames_and_casts(run_here: RunHere, trips: Path, session: Session) -> None:
    select = "SELECT id AS trip, CAST(fare AS decimal(8,2)) AS price FROM source WHERE fare IS NOT NULL"
    assert run_here(csv(trips, "--table", "trips", "--select", select)).status == 0
    assert session.run("SELECT trip, price::text FROM trips") == [[1, "2.50"]]


def test_columns_of_the_users_own_and_a_marker_table_are_given_by_flags(
    run_here: RunHere, trips: Path, session: Session
) -> None:
    columns = ["--column-type", "fare=numeric(6,2) DEFAULT 0", "--column-type", "at=timestamptz", "--null-value", "NA"]
    more = ["--metadata-columns", "n=bigserial", "day=date DEFAULT '2026-11-20'", "--marker-table", "marks"]
    for told in ("loaded 2 rows", "already loaded"):
        source = ["--source", str(trips), "--format", "csv", "--option", "header=true", "--table", "trips"]
        done = run_here([*source, "--load-id", "x", *columns, *more])
        assert (done.status, done.out.startswith(told)) == (0, True), done
    assert session.run("SELECT id, fare::text, at = '2026-11-20 08:00Z', n, day::text FROM trips ORDER BY n") == [
        ["1", "2.50", True, 1, "2026-11-20"],
        ["2", None, False, 2, "2026-11-20"],
    ]
    assert session.run("SELECT update_id FROM marks") == [["x"]]


def test_scripts_are_part_of_the_load_and_once_with_it(
    run_here: RunHere, trips: Path, session: Session, tmp_path: Path
) -> None:
    session.run("CREATE TABLE trips (id int, fare float8, at timestamptz); INSERT INTO trips VALUES (0), (1)")
    script, report = tmp_path / "after.sql", tmp_path / "report.json"
    script.write_text("\ufeffCREATE TABLE totals (n bigint);\nINSERT INTO totals SELECT count(*) FROM trips;")
    arguments = csv(trips, "--table", "trips", "--load-id", "x", "--before-sql", "DELETE FROM trips WHERE id = 1")
    arguments += ["--after-sql-file", str(script), "--report", str(report)]
    first = run_here(arguments)
    assert "\n  before: DELETE FROM 1 row\n  after: CREATE TABLE done; INSERT INTO 1 row\n" in first.out
    assert [done["line"] for done in json.loads(report.read_text())["after_sql"]] == [1, 2]
    assert run_here(arguments).out.startswith("already loaded")
    assert session.run("SELECT n, (SELECT array_agg(id ORDER BY id) FROM trips) FROM totals") == [[3, [0, 1, 2]]]


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["--table", "trips", "--after-sql-file", "/none"], 2, "error: The SQL file /none cannot be read: No such"),
        (["--table", "trips", "--option", "header"], 2, "error: --option 'header' is not of the form K=V."),
        (["--table", "trips", "--option", "Header=false"], 2, "error: --option Header is repeated."),
        (
            ["--table", "trips", "--option", "heder=true"],
            2,
            "error: Spark has no option heder for csv. Did you mean header?",
        ),
        (["--table", "a.b.c"], 2, "error: 'a.b.c' is not a table's name."),
        (["--table", "trips", "--no-create"], 2, "error: There is no table public.trips."),
        (["--table", "trips", "--load-id", ""], 2, "error: The load id is empty."),
        (["--table", "trips", "--select", "SELECT nosuch FROM source"], 2, "error: [UNRESOLVED_COLUMN"),
        (["--table", "trips", "--port", "1", "--connect-deadline", "0"], 1, "error: No server answers at"),
        (["--table", "trips", "--dbname", "nosuch"], 1, 'error: database "nosuch" does not exist'),
    ],
)
def test_what_is_wrong_is_one_line_and_a_status(
    run_here: RunHere, trips: Path, arguments: list[str], status: int, told: str
) -> None:
    done = run_here(csv(trips, *arguments))
    assert (done.status, done.out) == (status, "")
    [line] = done.err.splitlines()
    assert line.startswith(told)


def test_the_line_and_the_status_of_what_is_wrong_come_through_spark_submit(submit: Submit, trips: Path) -> None:
    """Of what only Spark finds, and so after its start."""
    done = submit(csv(trips, "--table", "trips", "--select", "SELECT nosuch FROM source"))
    assert done.returncode == 2
    [line] = done.stdout.splitlines()
    assert line.startswith("error: [UNRESOLVED_COLUMN")


def test_a_file_of_another_format_is_told_by_its_cause(run_here: RunHere, trips: Path) -> None:
    done = run_here(["--source", str(trips), "--table", "trips"])
    assert done.status == 1
    assert "is not a Parquet file" in done.err.splitlines()[-1]


def test_sparks_log_does_not_hide_what_the_job_tells(submit: Submit, trips: Path) -> None:
    done = submit(csv(trips, "--table", "trips"))
    assert len(done.stderr.splitlines()) < 15


def test_a_path_that_is_not_there_is_named(run_here: RunHere, tmp_path: Path) -> None:
    done = run_here(csv(tmp_path / "nosuch.csv", "--table", "trips"))
    assert done.status == 2
    assert done.err.startswith("error: [PATH_NOT_FOUND] Path does not exist")


def test_a_server_of_lineage_is_told_what_is_loaded(
    run_here: RunHere, trips: Path, session: Session, database: Settings
) -> None:
    with lineage_server() as server:
        arguments = csv(trips, "--table", "trips", "--load-id", "trips/1", "--lineage-url", server.url)
        assert [run_here(arguments).status for _ in range(2)] == [0, 0]
    assert server.kinds == ["START", "COMPLETE"] * 2
    started, loaded, _, again = server.events
    place = database.servers[0]
    table = {"namespace": f"postgres://{place.host}:{place.port}", "name": f"{database.dbname}.public.trips"}
    assert started["inputs"] == [{"namespace": "file", "name": str(trips)}]
    [source], [target] = loaded["inputs"], loaded["outputs"]
    assert [field["type"] for field in source["facets"]["schema"]["fields"]] == ["int", "double", "timestamp"]
    assert [target[name] for name in table] == list(table.values())
    assert [field["type"] for field in target["facets"]["schema"]["fields"]] == [
        "integer",
        "double precision",
        "timestamp with time zone",
    ]
    assert source["inputFacets"]["inputStatistics"]["rowCount"] == 2
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 2
    assert again["outputs"] == [table]
    assert session.run("SELECT count(*) FROM trips") == [[2]]
