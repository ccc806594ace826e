"""One PostgreSQL server and one Spark for the test run, each started when a test asks for it.

Each test that wants one has a database of its own. TEST_DATABASE_URL points the same tests at any other server; its
user must be allowed to create databases.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cloud import moto_server
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from server_folder import server_folder, serving

from jobs.aws import clients
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A run fails for what was changed, not by chance or for a busy machine. HYPOTHESIS_PROFILE=explore looks further.
_PATIENT = hypothesis_settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("same", _PATIENT, derandomize=True)
hypothesis_settings.register_profile("explore", _PATIENT, max_examples=1000)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# Tests need no rows to survive a crash of the machine. An autovacuum's transaction, in whichever database, holds back
# what is new for an incremental extract; it also takes locks, and counts as a connection.
SERVER_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_wal_size": "256MB",
    "max_connections": 60,
}


# A shell starts a background job deaf to Ctrl-C, and its children inherit that. Tests of Ctrl-C want both to hear it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A run starts Python a thousand times. Each would compile our modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(scope="session")
def server() -> Iterator[Settings]:
    """The server, with a database from which others can be made."""
    url = os.environ.get("TEST_DATABASE_URL")
    if url:
        yield resolve(Given(url=url), os.environ).settings
        return
    from servermgr.postgres import Manager  # here, because Windows lacks what it needs, and can run tests/unit

    with (
        server_folder() as folder,
        serving(Manager("127.0.0.1", 0, folder / "data", initialize=True, settings=SERVER_SETTINGS)) as manager,
    ):
        yield resolve(Given(url=manager.url()), {}).settings


@pytest.fixture(scope="session")
def admin(server: Settings) -> Iterator[Session]:
    """A session that makes and drops databases."""
    with connect(server, "pgjobs tests") as opened:
        yield opened


@pytest.fixture(scope="session")
def template(server: Settings, admin: Session) -> Iterator[str]:
    """A database with the marker table, to be cloned."""
    name = f"pgjobs_template_{uuid.uuid4().hex[:12]}"
    admin.run(f"CREATE DATABASE {quote_name(name)}")
    with connect(replace(server, dbname=name), "pgjobs tests") as session:
        session.run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")  # the default from PostgreSQL 15 on
        LUIGIS.ensure(session)
    assert _sessions_after(admin, name, patience=60.0) == []  # a clone waits five seconds for its template
    yield name
    admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")


@pytest.fixture
def database(server: Settings, template: str, admin: Session) -> Iterator[Settings]:
    """A fresh database."""
    with _fresh_database(server, template, admin) as database:
        yield database


@pytest.fixture(scope="module")
def module_database(server: Settings, template: str, admin: Session) -> Iterator[Settings]:
    """A fresh database for the tests of a module that look at one run."""
    with _fresh_database(server, template, admin) as database:
        yield database


@contextmanager
def _fresh_database(server: Settings, template: str, admin: Session) -> Iterator[Settings]:
    name = f"pgjobs_test_{uuid.uuid4().hex[:12]}"
    admin.run(f"CREATE DATABASE {quote_name(name)} TEMPLATE {quote_name(template)}")
    yield replace(server, dbname=name)
    left_open = _sessions_after(admin, name, patience=60.0)
    admin.run(f"DROP DATABASE {quote_name(name)} WITH (FORCE)")
    assert left_open == [], "a test must leave no connection open"


def _sessions_after(admin: Session, database: str, patience: float) -> list[str]:
    """Who is still connected to a database after some seconds; a server needs a moment to see a session's end."""
    deadline = time.monotonic() + patience
    while True:
        query = "SELECT application_name FROM pg_stat_activity WHERE datname = %s"
        names = [name for [name] in admin.run(query, database)]
        if not names or time.monotonic() > deadline:
            return names
        time.sleep(0.02)


@pytest.fixture
def session(database: Settings) -> Iterator[Session]:
    """A session on a fresh database."""
    with connect(database, "pgjobs tests") as opened:
        yield opened


OF_UNIX = ["unit/test_chaos_*.py", "unit/test_demo_server.py", "unit/test_servermgr_*.py"]
"""Tests of what Windows cannot run. It can run the rest of tests/unit."""

collect_ignore_glob = [] if find_spec("fcntl") else OF_UNIX


SLOWEST = [
    *("test_faults_of_writes", "test_packing", "test_provenance", "test_protocol"),
    *("test_faults_driver", "test_faults", "test_chaos", "test_run_local", "test_own_project", "test_secrets"),
    *("test_pgcopy_reader", "test_extract_table", "test_load_table", "test_load_types", "test_extract_types"),
]
"""Files that begin first: one that began last would be waited for alone. The others follow pyproject's testpaths.

The first Spark of all waits half a minute for its archive of classes, so beside it begins what needs no Spark.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slowest files first, and be lenient with PySpark.

    It leaves its sockets to the garbage collector. Ours are counted by the `database` fixture instead.
    """
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))
    with_spark = {item.path for item in items if "spark" in getattr(item, "fixturenames", ())}
    for item in items:
        if item.path in with_spark:
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            # PySpark 3.5 compares versions by distutils, and hides that warning itself, but not from pytest.
            item.add_marker(pytest.mark.filterwarnings("ignore:distutils Version classes:DeprecationWarning"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A Spark with Python workers as processes of their own.

    Its time zone has daylight saving time, so that no test passes for want of one.
    """
    import jvm
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = (
        SparkSession.builder.master("local[2,4]")
        .appName("pgjobs tests")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .config("spark.sql.session.timeZone", "America/New_York")
        .config("spark.sql.shuffle.partitions", "2")
        # Where a shuffle's files are lost (test_faults_of_writes), Spark removes its only executor. It runs on, but it
        # cannot register again, so that its heartbeats fail from then on: after 60 of them it would end the JVM.
        .config("spark.executor.heartbeat.maxFailures", "1000000")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("warehouse")))
        .config(map={**jvm.conf(), **jvm.WARM_WORKERS})
    )
    with pytest.MonkeyPatch.context() as patched:
        for name, value in jvm.environ().items():
            patched.setenv(name, value)  # the JVM keeps the environment that it starts in
        session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.fixture(autouse=True)
def no_setting_of_spark_stays(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that leaves the shared session as it was. What is set is another query to a load that is resumed."""
    if "spark" not in request.fixturenames:
        yield
        return
    from spark_settings import settings_that_are_set

    spark = request.getfixturevalue("spark")
    before = settings_that_are_set(spark)
    yield
    assert settings_that_are_set(spark) == before


@pytest.fixture(scope="session")
def spark_submit() -> list[str]:
    """The beginning of a command that submits a job as a user does."""
    import jvm

    launcher = Path(sys.executable).with_name("spark-submit")
    conf = {**jvm.conf(), "spark.ui.enabled": "false"}
    return [str(launcher), "--master", "local[2]", *(word for key in conf for word in ("--conf", f"{key}={conf[key]}"))]


@pytest.fixture(scope="session")
def aws_server() -> Iterator[Mapping[str, str]]:
    """The environment that leads to an AWS of our own, for other processes."""
    with moto_server() as environ:
        yield environ


@pytest.fixture
def aws(aws_server: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Mapping[str, str]]:
    """The same for this process."""
    for name, value in aws_server.items():
        monkeypatch.setenv(name, value)
    clients.client.cache_clear()
    yield aws_server
    clients.client.cache_clear()
