"""What breaks a load from outside, and what must hold after it: each row once, no staging, no connection."""

from __future__ import annotations

import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

import pyspark
from faulty_load import ROWS, numbers
from libpq import environment
from peers import peer
from pyspark.sql import SparkSession

from jobs.dbaccess import ledger
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Server, Settings, Tls
from jobs.dbaccess.sql import quote_name
from jobs.flows.load import load_dataframe
from jobs.flows.report import LoadReport
from servermgr.address import free_port

PATIENCE = 60.0
"""Seconds until a test gives up waiting."""

LOAD_ID = "faulty"

CREATE = "CREATE TABLE t (id bigint, name text)"

FAULTY_LOAD = Path(__file__).with_name("faulty_load.py")
LOAD_TABLE = Path(__file__).parents[2] / "src" / "jobs" / "load_table.py"


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


class Submitted:
    """A job that runs in processes of its own."""

    def __init__(self, command: list[str], environ: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        self._out = folder / "out"
        with self._out.open("w") as out:
            # A process group of its own: what a terminal's Ctrl-C reaches.
            self._process = subprocess.Popen(
                command, env=environ, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Submitted:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @property
    def output(self) -> str:
        return self._out.read_text()

    @property
    def told(self) -> list[str]:
        """What the job said of errors."""
        return [line for line in self.output.splitlines() if line.startswith("error: ")]

    def stalled(self) -> int:
        """How many attempts at part 1 have begun to wait."""
        return len(list(self.folder.glob("stalled-*")))

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait for something that the job does."""
        until(lambda: condition() or self._process.poll() is not None, what)
        assert condition(), self.output

    def status(self) -> int:
        """Wait for the end."""
        try:
            return self._process.wait(2 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the job does not end:\n{self.output}") from None

    def go_on(self) -> None:
        (self.folder / "go").touch()

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def kill_jvm(self) -> None:
        """Kill the driver's JVM alone."""
        self._process.kill()
        self._process.wait()

    def kill_driver(self) -> None:
        """Kill the driver's JVM and its Python, and nothing of the executors."""
        driver = int((self.folder / "driver").read_text())
        self._process.kill()
        os.kill(driver, signal.SIGKILL)
        self._process.wait()


def submit(script: Path, arguments: list[str], conf: Mapping[str, str], database: Settings, folder: Path) -> Submitted:
    """Submit a job as a user does, with the database in PG*, from an empty folder."""
    folder.mkdir(exist_ok=True)
    launcher = str(Path(sys.executable).with_name("spark-submit"))
    flags = [flag for name, value in {**CONF, **conf}.items() for flag in ("--conf", f"{name}={value}")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "SPARK_", "PYSPARK_"))}
    environ = {
        **kept,
        **environment(database),
        "PGSSLMODE": "disable",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    return Submitted([launcher, *flags, str(script), *arguments], environ, folder)


RETRYING, CLUSTER = "local[2,4]", "local-cluster[2,1,1024]"
CONF = {
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    # Executors that come late would leave all the work, and what is lost with one, to the first.
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
}


def submit_load(what: str, master: str, database: Settings, folder: Path, **conf: str) -> Submitted:
    """Load into `t` from one of `faulty_load.INPUTS`."""
    arguments = [what, str(folder), "t", LOAD_ID]
    return submit(FAULTY_LOAD, arguments, {"spark.master": master, **conf}, database, folder)


def submit_table(rows: int, database: Settings, folder: Path) -> Submitted:
    """Load this many rows into `t` by load_table.py."""
    arguments = ["--source", __file__, "--format", "csv"]  # a job wants one, and the query leaves it
    arguments += ["--table", "t", "--load-id", LOAD_ID]
    arguments += ["--select", f"SELECT id, concat('row ', id) AS name FROM range({rows})"]
    return submit(LOAD_TABLE, arguments, {"spark.master": "local[2]"}, database, folder)


@contextmanager
def cluster_of_two_hosts(folder: Path) -> Iterator[str]:
    """Spark's own cluster, with two workers of one core; speculation wants another host, so they go by two names."""
    port = free_port("127.0.0.1")
    url = f"spark://127.0.0.1:{port}"
    deploy, worker = "org.apache.spark.deploy", ["--cores", "1", "--memory", "1g", "--work-dir", str(folder), url]
    commands = [
        [f"{deploy}.master.Master", "--host", "127.0.0.1", "--port", str(port), "--webui-port", "0"],
        [f"{deploy}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", *worker],
        [f"{deploy}.worker.Worker", "--host", "localhost", "--webui-port", "0", *worker],
    ]
    launcher = str(Path(pyspark.__file__).with_name("bin") / "spark-class")
    environ = {**os.environ, "SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable}
    processes = []
    try:
        for command in commands:
            processes.append(subprocess.Popen([launcher, *command], env=environ, cwd=folder, stderr=subprocess.DEVNULL))
            until(lambda: listens(port), "Spark's master")
        yield url
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@dataclass
class Cut:
    """A moment at which a connection breaks, once.

    Attributes:
        whose: what the connection's application_name begins with.
        at: what the client says then: that is lost.
        after: what it must have said before.
        answered: only the answer is lost.
    """

    whose: str
    at: bytes
    after: bytes = b""
    answered: bool = False
    done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def on_the_way_to(self, database: Settings) -> Iterator[Settings]:
        """A way to the server on which that happens."""
        self.done.clear()
        [server] = database.servers
        with peer(lambda client: self._pass_on(client, (server.host, server.port))) as port:
            yield replace(database, servers=(Server("127.0.0.1", port),), tls=Tls("disable"))

    def _pass_on(self, client: socket.socket, backend: tuple[str, int]) -> None:
        with socket.create_connection(backend) as server, selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            hello = client.recv(65536)
            server.sendall(hello)
            mine, said = f"application_name\0{self.whose}".encode() in hello, False
            while True:
                for key, _ in selector.select():
                    source = client if key.fileobj is client else server
                    data = source.recv(65536)
                    if mine and source is client and not self.done.is_set():
                        said = said or self.after in data
                        if said and self.at in data:
                            self.done.set()
                            if self.answered:
                                server.sendall(data)
                                server.recv(65536)
                            return
                    if not data:
                        return
                    key.data.sendall(data)


def staging_tables(session: Session) -> list[str]:
    return [name for [name] in session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_' AND relkind = 'r'")]


def connections(session: Session) -> list[str]:
    """The jobs' sessions, in this database."""
    query = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ %s"
    return [name for [name] in session.run(query, "^pgjobs load_table")]


def parts_table(session: Session) -> str:
    """Of the load that runs."""
    [name] = [name for name in staging_tables(session) if name.startswith("pgjobs_parts_")]
    return name


def claimed_parts(session: Session) -> int:
    """How many parts of the load that runs are in staging."""
    [[claimed]] = session.run(f"SELECT count(rows) FROM {quote_name(parts_table(session))}")
    return int(claimed)


def waiting_for_a_table(session: Session) -> int:
    """How many of the jobs' sessions are kept from a table by a lock."""
    query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'relation' AND application_name ~ '^pgjobs load_table'"
    return len(session.run(query))


@contextmanager
def locked(database: Settings, table: str) -> Iterator[None]:
    """Nobody can write into a table meanwhile; reading it is not hindered."""
    # A session of its own, for within a transaction pg_stat_activity does not change.
    with connect(database, "locks") as session, session.transaction():
        session.run(f"LOCK TABLE {quote_name(table)} IN SHARE MODE")
        yield


def assert_no_connection(session: Session) -> None:
    until(lambda: not connections(session), "the end of all connections", patience=10.0)


def assert_nothing_loaded(session: Session) -> None:
    """None of the load is to be seen; of staging, that is for the caller to say."""
    assert_no_connection(session)
    if session.run("SELECT to_regclass('t') IS NOT NULL")[0][0]:
        assert session.run("SELECT count(*) FROM t") == [[0]]
    assert ledger.recorded_target(session, LOAD_ID) is None


def assert_loaded_once(session: Session) -> None:
    """Each row is there once, by count and checksum, and nothing else is."""
    assert_no_connection(session)
    checksum = "SELECT count(*), sum(hashtextextended(format('%s %s', id, name), 0))::text FROM"
    whole = f"(SELECT id, 'row ' || id AS name FROM generate_series(0, {ROWS - 1}) AS id) AS whole"
    assert session.run(f"{checksum} t") == session.run(f"{checksum} {whole}")
    assert staging_tables(session) == []


def assert_a_rerun_loads(spark: SparkSession, session: Session, database: Settings) -> None:
    assert not rerun(spark, database).already_loaded
    assert_loaded_once(session)


def assert_a_rerun_does_nothing(spark: SparkSession, session: Session, database: Settings) -> None:
    assert rerun(spark, database).already_loaded
    assert_loaded_once(session)


def rerun(spark: SparkSession, database: Settings) -> LoadReport:
    return load_dataframe(numbers(spark), table="t", settings=database, load_id=LOAD_ID)
