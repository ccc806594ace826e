"""`load_dataframe` and `extract_dataframe` as a client of a real server of Spark Connect calls them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jvm
import pytest
from libpq import environment

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.sql import quote_name

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")
pytest.importorskip("grpc", reason="clients of Spark Connect need grpcio, which Python 3.9 does not get here")

CLIENT = Path(__file__).parents[1] / "support" / "connect_client.py"


@pytest.fixture(scope="module")
def connected(server: Settings) -> Iterator[Mapping[str, Any]]:
    """What the client tells, and the rows of the table that it has loaded. All tests look at one run."""
    name = "pgjobs_connect"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"DROP DATABASE IF EXISTS {quote_name(name)} WITH (FORCE)")
        admin.run(f"CREATE DATABASE {quote_name(name)}")
        database = replace(server, dbname=name)
        conf = " ".join(f"--conf '{key}={value}'" for key, value in jvm.conf().items())
        environ = {
            **jvm.environ(),
            **environment(database),
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_SUBMIT_ARGS": f"{conf} --conf spark.ui.enabled=false pyspark-shell",
        }
        with connect(database, "pgjobs tests") as session:
            session.run("CREATE SCHEMA elsewhere")
        done = subprocess.run([sys.executable, str(CLIENT)], env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        with connect(database, "pgjobs tests") as session:
            rows = session.run("SELECT count(*), count(b), sum(a), min(c), sum(m) FROM t")
            new = session.run("SELECT a, b FROM t WHERE b = 'new' ORDER BY a")
        yield {**json.loads(done.stdout), "rows": rows, "new": new}
        admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")


def test_a_load_is_done_once_and_tells_what_can_be_known(connected: Mapping[str, Any]) -> None:
    assert connected["session"] == "pyspark.sql.connect.session"
    first = connected["first"]
    assert (first["rows_read"], first["already_loaded"], first["over_connect"]) == (1000, False, True)
    assert connected["summary"].startswith("wrote 1,000 rows to t through Spark Connect in ")
    assert connected["second"]["already_loaded"] is True
    assert connected["rows"] == [[1000, 998, 499500, "made", 1000]]


def test_an_upsert_and_columns_of_ones_own_go_through_connect(connected: Mapping[str, Any]) -> None:
    assert connected["upsert"]["rows_read"] == 2
    assert connected["new"] == [[0, "new"], [1, "new"]]


def test_an_extract_reads_through_connect(connected: Mapping[str, Any]) -> None:
    expected = [[0, "new"], [1, "new"], *([n, str(n)] for n in range(2, 7)), [7, None], [8, None]]
    assert connected["extracted"] == expected


def test_what_connect_does_not_have_is_refused_by_name(connected: Mapping[str, Any]) -> None:
    kind, message = connected["refused"]
    assert kind == "UsageError"
    assert message.startswith("Through Spark Connect, load_dataframe has no before_sql, verify: pgcopy writes there.")


@pytest.mark.parametrize(
    ("case", "kind", "message"),
    [
        ("no_table", "UsageError", "There is no table none."),
        ("no_column", "UsageError", "z"),
        ("constraint", "ConstraintViolated", "(SQLSTATE 23505)"),
        ("taken", "UsageError", "The load id 'x' is taken by a marker of 'public.t'"),
        ("taken elsewhere", "UsageError", "The load id 'y' is taken by a marker of 'elsewhere.t'"),
    ],
)
def test_an_error_of_the_server_is_one_of_ours(
    connected: Mapping[str, Any], case: str, kind: str, message: str
) -> None:
    assert connected[case][0] == kind
    assert message in connected[case][1]
    assert "Traceback" not in connected[case][1]
