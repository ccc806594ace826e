"""The archive is proven by a load through it: driver and executors run on its interpreter and its packages alone."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import jvm
import pytest
from libpq import environment
from standin import carrying

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.postgres_connectivity import connect
from pgjobs.archive.build import build
from pgjobs.archive.manifest import NAME, beside
from pgjobs.archive.target import target_for

BEGIN = time.time()
INTERPRETER = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"


OWN = """
import os, sys
import rates
from jobs import load_table
from pyspark import SparkFiles
from pyspark.sql import SparkSession

spark = SparkSession.builder.getOrCreate()

def rated(number):
    with open(SparkFiles.get("zones.csv")) as zones:
        return zones.read() + str(number * rates.RATE)

print(spark.sparkContext.parallelize([1, 2], 2).map(rated).collect(), spark.conf.get("spark.of.the.file"))
sys.exit(load_table.main(sys.argv[1:], os.environ))
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It carries its own Python, where this machine's can stand in; else it is for the image's."""
    try:
        carried = carrying(tmp_path_factory)
    except pytest.skip.Exception:
        if not Path(INTERPRETER).exists():
            pytest.skip(f"this machine has no {INTERPRETER}, as the image has")
        architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
        target = target_for("emr-spark-8.1.0", architecture, INTERPRETER)
        return build(target, tmp_path_factory.mktemp("dist"))
    return Path(shutil.copytree(carried.parent, tmp_path_factory.mktemp("copy") / "my dist"), NAME)


@pytest.fixture(scope="module")
def ran(archive: Path, module_database: Settings) -> subprocess.CompletedProcess[str]:
    """A job of one's own, which loads rows; it takes six JVMs, so that both tests look at one run."""
    configuration = [{"classification": "spark-defaults", "properties": {"spark.of.the.file": "counts"}}]
    contents = {"own.py": OWN, "rates.py": "RATE = 21\n", "zones.csv": "zone", "emr.json": json.dumps(configuration)}
    for name, content in {**contents, "rows.csv": "a,b\n1,x\n2,y\n"}.items():
        (archive.parent / name).write_text(content)
    flags = ["--py-files", "rates.py", "--files", "zones.csv", "--application-configuration", "emr.json"]
    arguments = ["--source", "rows.csv", "--format", "csv", "--option", "header=true"]
    arguments += ["--table", "t", "--load-id", "local/1", "--report", "report.json"]
    return run_local(archive, arguments, environment(module_database), "own.py", flags)


def test_a_submission_loads_rows_through_the_archive_from_a_relative_path_without_noise(
    ran: subprocess.CompletedProcess[str], archive: Path, module_database: Settings
) -> None:
    assert "loaded 2 rows into public.t" in ran.stdout
    with connect(module_database, "t") as session:
        assert session.run("SELECT a, b FROM t ORDER BY a") == [["1", "x"], ["2", "y"]]
    assert json.loads((archive.parent / "report.json").read_text())["rows_inserted"] == 2
    assert noise(ran.stderr) == []


def noise(log: str) -> list[str]:
    """Errors, and what has a stack trace, each with the lines around it."""
    lines = ["", *log.splitlines(), ""]
    return [
        "\n".join(around)
        for around in zip(lines, lines[1:], lines[2:])
        if " ERROR " in around[1] or ("\tat " in around[2] and "\tat " not in around[1])
    ]


def test_nothing_of_a_run_stays_in_the_installation_of_spark(ran: subprocess.CompletedProcess[str]) -> None:
    assert ran.returncode == 0
    assert [folder for folder in jvm.HOME.glob("work/*/*/environment") if folder.parent.stat().st_mtime > BEGIN] == []


def test_a_self_contained_archive_runs_driver_and_executors_on_its_own_python_with_the_files_beside_it(
    ran: subprocess.CompletedProcess[str], archive: Path
) -> None:
    if not json.loads(beside(archive).read_text()).get("carried_interpreter"):
        pytest.skip("this machine's Python cannot stand in for one that is carried")
    assert "['zone21', 'zone42'] counts" in ran.stdout


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
