"""A project of one's own, from the wheel alone: made in an empty folder, tested, packed, and run."""

from __future__ import annotations

import datetime as dt
import platform
import shlex
import sys
from decimal import Decimal
from pathlib import Path

import jvm
import pyarrow as pa
import pytest
from libpq import environment
from pyarrow import parquet
from wheel_here import Laptop, install_from_this, wheel_of_this

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session

ORDERS = [("north", 20, "9.50"), ("north", 20, "0.50"), ("south", 20, "3.00"), ("south", 21, "7.00")]
"""Shop, day of November, amount."""


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Laptop:
    return install_from_this(
        wheel_of_this(tmp_path_factory), tmp_path_factory.mktemp("laptop") / "venv", "deploy", "spark", "test"
    )


def spark_of(laptop: Laptop) -> dict[str, str]:
    """The variables of a Spark of the tests, with the laptop's Python. Its classes are found by their real folder."""
    return {**jvm.environ({}), "PYSPARK_PYTHON": str(laptop.venv / "bin" / "python"), "SPARK_HOME": str(jvm.HOME)}


@pytest.fixture(scope="module")
def project(laptop: Laptop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pgjobs init` writes into an empty folder."""
    folder = tmp_path_factory.mktemp("empty") / "shop-jobs"
    done = laptop.run(["pgjobs", "init", str(folder)], folder.parent)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


def test_its_environment_has_what_the_wheel_requires_and_nothing_else(laptop: Laptop, project: Path) -> None:
    script = (
        "import importlib.util as util, sys; print([name for name in sys.argv[1:] if util.find_spec(name) is None])"
    )
    ours = ["jobs", "pgjobs", "servermgr", "pyspark", "pandas", "pyarrow", "boto3", "uv", "elftools", "pytest"]
    done = laptop.run(["python", "-c", script, *ours, "luigi", "moto", "hypothesis", "sqlalchemy", "psycopg2"], project)
    assert done.stdout == "['luigi', 'moto', 'hypothesis', 'sqlalchemy', 'psycopg2']\n", done.stderr


def test_its_own_test_passes(laptop: Laptop, project: Path) -> None:
    flags = " ".join(f"--conf {shlex.quote(f'{key}={value}')}" for key, value in jvm.conf().items())
    environ = {**spark_of(laptop), "PYSPARK_SUBMIT_ARGS": f"{flags} pyspark-shell"}
    done = laptop.run(["/usr/bin/make", "test"], project, environ)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_its_job_is_packed_and_loads_rows_once_for_a_day(
    laptop: Laptop, project: Path, session: Session, database: Settings
) -> None:
    columns = {
        "shop": pa.array([shop for shop, _, _ in ORDERS]),
        "day": pa.array([dt.date(2026, 11, day) for _, day, _ in ORDERS]),
        "amount": pa.array([Decimal(amount) for _, _, amount in ORDERS], pa.decimal128(9, 2)),
    }
    (project / "orders").mkdir()
    parquet.write_table(pa.table(columns), project / "orders" / "part.parquet")
    python = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    architecture = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packed = laptop.run(["pgjobs", "package", "--python", python, "--arch", architecture], project)
    assert packed.returncode == 0, packed.stderr
    spark = spark_of(laptop)
    conf = {**jvm.conf(), "spark.emr-serverless.driverEnv.SPARK_CONF_DIR": spark["SPARK_CONF_DIR"]}
    flags = [word for key, value in conf.items() for word in ("--conf", f"{key}={value}")]
    job = ["--", "--source", "orders", "--day", "2026-11-20"]
    done = laptop.run(
        ["pgjobs", "run-local", "nightly_totals", *flags, *job], project, {**spark, **environment(database)}
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "loaded 2 rows into public.totals" in done.stdout
    assert session.run("SELECT shop, day, orders, amount FROM totals ORDER BY shop") == [
        ["north", dt.date(2026, 11, 20), 2, Decimal("10.00")],
        ["south", dt.date(2026, 11, 20), 1, Decimal("3.00")],
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["submit", "nightly_totals", "--dry-run", "--", "--day", "yesterday"],
            "argument --day: invalid day value: 'yesterday'",
        ),
        (["submit", "nightly_total", "--dry-run", "--"], "did you mean nightly_totals?"),
        (["init", "."], "has pyproject.toml, Makefile"),
    ],
)
def test_a_mistake_is_told_in_a_line(laptop: Laptop, project: Path, words: list[str], told: str) -> None:
    """After the test above, which has packed."""
    if not (project / "dist").exists():
        laptop.run(["pgjobs", "package"], project)
    environ = {
        "PGJOBS_DEPLOY_APPLICATION_ID": "00app",
        "PGJOBS_DEPLOY_ROLE": "arn:aws:iam::123456789012:role/jobs",
        "PGJOBS_DEPLOY_CODE": "s3://bucket/code",
    }
    done = laptop.run(["pgjobs", *words], project, environ)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
