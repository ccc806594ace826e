"""The archive is proven by a load through it: driver and executors run on its interpreter and its packages alone."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jvm
import pytest
from libpq import environment
from standin import stand_in, this_machine

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from pgjobs.archive.build import build
from pgjobs.archive.target import target_for

INTERPRETER = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.mark.skipif(not Path(INTERPRETER).exists(), reason=f"this machine has no {INTERPRETER}, as the image has")
def test_a_submission_loads_rows_through_the_archive_from_a_relative_path_without_noise(
    tmp_path: Path, session: Session, database: Settings
) -> None:
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    archive = build(target_for("emr-spark-8.1.0", architecture, INTERPRETER), tmp_path / "dist")
    (archive.parent / "rows.csv").write_text("a,b\n1,x\n2,y\n")
    arguments = ["--source", "rows.csv", "--format", "csv", "--option", "header=true"]
    arguments += ["--table", "t", "--load-id", "local/1", "--report", "report.json"]
    done = run_local(archive, arguments, environment(database))
    assert "loaded 2 rows into public.t" in done.stdout
    assert session.run("SELECT a, b FROM t ORDER BY a") == [["1", "x"], ["2", "y"]]
    assert json.loads((archive.parent / "report.json").read_text())["rows_inserted"] == 2
    assert " ERROR " not in done.stderr
    assert "\tat " not in done.stderr


OWN = """
import rates
from pyspark import SparkFiles
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()

def rated(number):
    with open(SparkFiles.get("zones.csv")) as zones:
        return zones.read() + str(number * rates.RATE)

print(spark.sparkContext.parallelize([1, 2], 2).map(rated).collect(), spark.conf.get("spark.of.the.file"))
"""


def test_a_self_contained_archive_runs_driver_and_executors_on_its_own_python_with_the_files_beside_it(
    tmp_path: Path,
) -> None:
    archive = build(this_machine(), tmp_path / "dist", carried=stand_in(tmp_path / "python"))
    configuration = [{"classification": "spark-defaults", "properties": {"spark.of.the.file": "counts"}}]
    contents = {"own.py": OWN, "rates.py": "RATE = 21\n", "zones.csv": "zone", "emr.json": json.dumps(configuration)}
    for name, content in contents.items():
        (archive.parent / name).write_text(content)
    flags = ["--py-files", "rates.py", "--files", "zones.csv", "--application-configuration", "emr.json"]
    assert "['zone21', 'zone42'] counts" in run_local(archive, [], {}, "own.py", flags).stdout


def run_local(
    archive: Path,
    arguments: Sequence[str],
    environ: Mapping[str, str],
    entry: str = "load_table",
    flags: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run a job through an archive."""
    command = [sys.executable, "-m", "pgjobs", "run-local", entry, "--archive", str(archive), *flags]
    command += ["--retries", "1"] if "--load-id" in arguments else []
    spark = jvm.environ()
    conf = {**jvm.conf(), "spark.emr-serverless.driverEnv.SPARK_CONF_DIR": spark["SPARK_CONF_DIR"]}
    command += [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    command += ["--", *arguments]
    done = subprocess.run(
        command, env={**spark, **environ}, cwd=archive.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "driver and 2 executors run on ./environment/bin/python: Python 3." in done.stderr
    return done
