"""Jobs in processes of their own, by spark-submit, and a cluster for them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Callable

import jvm
import pyspark
from libpq import environment
from process_table import process_table

from jobs.dbaccess.conninfo.settings import Settings

PATIENCE = 300.0
"""Seconds until a test gives up waiting: it only bounds a hang."""

SHORTEST, LONGEST = 0.02, 0.25
"""Seconds of a pause between two looks."""


def until(condition: Callable[[], object], what: str, patience: float = PATIENCE, longest: float = LONGEST) -> None:
    """Wait for something to become true, and look the less often the longer it takes.

    A look may open a connection, which costs client and server 10 ms of CPU. What is soon over wants `SHORTEST` as the
    longest pause.
    """
    start = time.monotonic()
    while not condition():
        waited = time.monotonic() - start
        assert waited < patience, f"waited in vain for {what}"
        time.sleep(min(max(waited / 20, SHORTEST), longest))


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

    def stalled(self, what: str = "") -> int:
        """How many attempts at part 1 have begun to wait; of which input, if there are several."""
        return len(list((self.folder / what).glob("stalled-*")))

    def until(self, condition: Callable[[], object], what: str, patience: float = PATIENCE) -> None:
        """Wait for something that the job does."""
        try:
            until(lambda: condition() or self._process.poll() is not None, what, patience)
        except AssertionError as error:
            raise AssertionError(f"{error}:\n{self.output}") from None
        assert condition(), self.output

    def status(self) -> int:
        """Wait for the end, also of a driver's Python that outlives its JVM for a moment."""
        try:
            status = self._process.wait(2 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the job does not end:\n{self.output}") from None
        until(lambda: all(process.group != self._process.pid for process in process_table()), "the driver's end")
        return status

    def go_on(self, what: str = "") -> None:
        (self.folder / what / "go").touch()

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.killpg(self._process.pid, signal.SIGINT)

    def terminate(self) -> None:
        """As `timeout`, systemd and schedulers do."""
        os.killpg(self._process.pid, signal.SIGTERM)

    def kill_executors(self) -> None:
        """Kill a local-cluster's executors."""
        for pid in self._executors():
            os.kill(pid, signal.SIGKILL)

    def kill_executor(self) -> None:
        """Kill one of them."""
        os.kill(self._executors()[0], signal.SIGKILL)

    def _executors(self) -> list[int]:
        """The ids of a local-cluster's executors, which are children of the driver's JVM."""
        own = [process for process in process_table() if process.parent == self._process.pid]
        return [process.pid for process in own if "CoarseGrainedExecutorBackend" in process.line]

    def kill_jvm(self) -> None:
        """Kill the driver's JVM alone."""
        self._process.kill()
        self._process.wait()

    def kill_group(self) -> None:
        """Kill all processes of the job at once."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def kill_driver(self) -> None:
        """Kill the driver's JVM and its Python, and nothing of the executors."""
        driver = int((self.folder / "driver").read_text())
        self._process.kill()
        os.kill(driver, signal.SIGKILL)
        self._process.wait()


IN_BACKGROUND = ("/bin/sh", "-c", """trap '' INT; exec "$@" """, "sh")
"""Starts a command as a script's `command &` does: its processes inherit that SIGINT is ignored."""


def submit(
    script: Path,
    arguments: list[str],
    conf: Mapping[str, str],
    database: Settings,
    folder: Path,
    prefix: Sequence[str] = (),
) -> Submitted:
    """Submit a job as a user does, with the database in PG*, from an empty folder."""
    folder.mkdir(exist_ok=True)
    launcher = str(Path(sys.executable).with_name("spark-submit"))
    flags = [
        flag
        for name, value in {**jvm.conf(), **jvm.WARM_WORKERS, **CONF, **_whole(conf), **conf}.items()
        for flag in ("--conf", f"{name}={value}")
    ]
    environ = {
        **jvm.environ(),
        **environment(database),
        "PGSSLMODE": "disable",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    return Submitted([*prefix, launcher, *flags, str(script), *arguments], environ, folder)


RETRYING, CLUSTER = "local[6,4]", "local-cluster[2,1,1024]"
"""One machine with room for a task of each load that stalls, and one; two executors of one core."""
CONF = {
    "spark.ui.enabled": "false",
    "spark.log.level": "ERROR",
    # Several batches make a part, so that it has a middle; and each is larger than a buffer on its way (64 KiB).
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4000",
    # Executors that come late would leave all the work, and what is lost with one, to the first.
    "spark.scheduler.minRegisteredResourcesRatio": "1.0",
    "spark.scheduler.maxRegisteredResourcesWaitingTime": "300s",
    # Who fetches a shuffle from an executor that was killed is to notice it at once; Spark's own patience is 15 s.
    "spark.shuffle.io.maxRetries": "1",
    "spark.shuffle.io.retryWait": "200ms",
}


def _whole(conf: Mapping[str, str]) -> dict[str, str]:
    """The cores of a local-cluster. The ratio above is one of the cores that are asked for, and else one of none."""
    cluster = re.fullmatch(r"local-cluster\[(\d+),(\d+),\d+\]", conf.get("spark.master", ""))
    return {"spark.cores.max": str(int(cluster[1]) * int(cluster[2]))} if cluster else {}


@contextmanager
def cluster_of_two_hosts(folder: Path) -> Iterator[str]:
    """Spark's own cluster, with two workers of one core; speculation wants another host, so they go by two names."""
    launcher = str(Path(pyspark.__file__).with_name("bin") / "spark-class")
    environ = {**jvm.environ(), "SPARK_HOME": str(Path(pyspark.__file__).parent), "PYSPARK_PYTHON": sys.executable}
    environ["SPARK_DAEMON_JAVA_OPTS"] = jvm.flags()
    processes = []

    def start(kind: str, host: str, *more: str) -> Path:
        """Start a daemon of Spark, and return its log."""
        log = folder / f"{kind}-{host}.log"
        command = [launcher, f"org.apache.spark.deploy.{kind}", "--host", host, "--webui-port", "0", *more]
        with log.open("w") as told:
            processes.append(subprocess.Popen(command, env=environ, cwd=folder, stderr=told))
        return log

    try:
        log = start("master.Master", "127.0.0.1", "--port", "0")
        until(lambda: _STARTED.search(log.read_text()), "Spark's master")
        [url] = set(_STARTED.findall(log.read_text()))
        for host in ("127.0.0.1", "localhost"):
            start("worker.Worker", host, "--cores", "1", "--memory", "1g", "--work-dir", str(folder), url)
        until(lambda: log.read_text().count("Registering worker ") == 2, "Spark's workers")
        yield url
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


_STARTED = re.compile(r"Starting Spark master at (spark://[\d.:]+)\n")
"""It has chosen a free port itself: one that a test chose for it, somebody else could take before it is bound."""
