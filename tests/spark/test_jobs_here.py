"""`pgjobs load` runs the job in this process, with this machine's Spark."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from emr_runs import console
from libpq import environment
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from pgjobs.__main__ import main
from pgjobs.errors import OK


def test_a_job_loads_rows_and_its_help_is_not_printed(
    spark: SparkSession,  # noqa: ARG001 - the job finds it
    session: Session,
    database: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in {**environment(database), "PGSSLMODE": "disable", "PYSPARK_PYTHON": sys.executable}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    words = [
        "load",
        "--source",
        str(tmp_path / "rows.csv"),
        "--format",
        "csv",
        "--option",
        "header=true",
        "--table",
        "t",
    ]
    terminal, out, err = console()
    assert main(words, {}, terminal) == OK
    assert capsys.readouterr().out.startswith("loaded 2 rows into public.t")
    assert (out.getvalue(), err.getvalue()) == ("", "")
    assert session.run("SELECT a, b FROM t ORDER BY a") == [["1", "x"], ["2", "y"]]
