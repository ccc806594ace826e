"""One Spark for the tests that want it: local, with Python workers as processes of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import jvm
import pytest
from faults import Trial, TrialOf
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """PySpark leaves its sockets to the garbage collector. Ours are counted by the `database` fixture instead."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            # PySpark 3.5 compares versions by distutils, and hides that warning itself, but not from pytest.
            item.add_marker(pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session time zone with daylight saving time, so that no test passes for want of one."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2,4]")
        .appName("pgjobs tests")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.driver.extraJavaOptions", jvm.FLAGS)
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.shuffle.partitions", "2")
        # Where a shuffle's files are lost (test_faults_of_writes), Spark removes its only executor. It runs on, but it
        # cannot register again, so that its heartbeats fail from then on: after 60 of them it would end the JVM.
        .config("spark.executor.heartbeat.maxFailures", "1000000")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .getOrCreate()
    )
    yield session
    session.stop()


@pytest.fixture(scope="session")
def spark_submit() -> list[str]:
    """The beginning of a command that submits a job as a user does."""
    launcher = Path(sys.executable).with_name("spark-submit")
    conf = {**jvm.CONF, "spark.ui.enabled": "false"}
    return [str(launcher), "--master", "local[2]", *(word for key in conf for word in ("--conf", f"{key}={conf[key]}"))]


@pytest.fixture
def trial_of(spark: SparkSession, database: Settings, tmp_path: Path) -> TrialOf:
    """Begins a trial of some loads."""
    return Trial(spark, database, tmp_path, ()).of
