"""pgcopy where executors are processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jvm
import pgcopy_cluster
import pytest
from pgcopies import options_for, sidecars, until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")


def test_a_task_that_is_run_again_writes_once_and_with_the_driver_all_sidecars_end(
    session: Session, database: Settings, spark_submit: list[str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE source (id int, v text)")
    session.run("INSERT INTO source SELECT n, repeat('x', 200) FROM generate_series(1, 30000) n")
    launcher, *_ = spark_submit
    flags = [word for key, value in jvm.conf().items() for word in ("--conf", f"{key}={value}")]
    conf = ["--master", "local-cluster[2,1,1024]", "--conf", "spark.ui.enabled=false", *flags]
    done = subprocess.run(
        [launcher, *conf, pgcopy_cluster.__file__, json.dumps(options_for(database, tmp_path))],
        env={**jvm.environ(), "PYSPARK_PYTHON": sys.executable, "SPARK_WORKER_DIR": str(tmp_path / "work")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "planted" in done.stderr
    assert session.run("SELECT count(*), count(DISTINCT id) FROM target") == [[30000, 30000]]
    assert until(lambda: sidecars(session) == 0)
