"""The doctor with the data of a load: how it fits the table, and the plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from libpq import environment
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.doctor import main


def test_the_data_is_compared_with_the_table_and_the_plan_is_shown(
    spark: SparkSession, database: Settings, session: Session, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spark.range(3).write.parquet(str(tmp_path / "in"))
    session.run("CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz DEFAULT now())")
    arguments = ["--source", str(tmp_path / "in"), "--table", "t", "--mode", "upsert", "--keys", "id"]
    environ = environment(database)
    assert main(arguments, environ) == 0
    out = capsys.readouterr().out
    assert "ok       fit               1 column of the data fit public.t; the server fills at\n" in out
    assert "ok       plan              1 column for public.t" in out
    assert "\nplan: upsert by id into public.t, load id" in out
    assert (
        main([*arguments[:-1], "nokey", "--json", "--select", "SELECT 1.5 AS id, 2 AS more FROM source"], environ) == 1
    )
    told = json.loads(capsys.readouterr().out)
    faults = {one["check"]: one["found"] for one in told["findings"] if one["state"] == "FAULT"}
    assert set(faults) == {"fit", "plan"}
    assert "'more' is not a column of the table" in faults["fit"]
    assert told["plan"] is None
    assert main(["--source", str(tmp_path / "not-there"), "--table", "t"], environ) == 1
    out = capsys.readouterr().out
    assert "FAULT    fit               [PATH_NOT_FOUND]" in out
    assert "-> Check --source, --format, --option and --select." in out
    assert session.run("SELECT count(*) FROM t") == [[0]]
