"""The archive is proven by a load through it: driver and executors run on its interpreter and its packages alone."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from libpq import environment

from deploy.archive import build
from deploy.target import target_for
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings

INTERPRETER = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.skipif(not Path(INTERPRETER).exists(), reason=f"this machine has no {INTERPRETER}, as the image has")
def test_a_submission_loads_rows_through_the_archive(tmp_path: Path, session: Session, database: Settings) -> None:
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    archive = build(target_for("emr-spark-8.1.0", architecture, INTERPRETER), tmp_path / "dist")
    (tmp_path / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    command = [sys.executable, "-m", "deploy", "run-local", "load_table", "--archive", str(archive), "--retries", "1"]
    command += ["--", "--source", str(tmp_path / "rows.csv"), "--format", "csv", "--option", "header=true"]
    command += ["--table", "t", "--load-id", "local/1", "--report", str(tmp_path / "report.json")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    done = subprocess.run(
        command, env={**kept, **environment(database)}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "driver and 2 executors run on ./environment/bin/python: Python 3." in done.stderr
    assert "loaded 2 rows into public.t" in done.stdout
    assert session.run("SELECT a, b FROM t ORDER BY a") == [["1", "x"], ["2", "y"]]
