"""Spark drivers as processes: what runs the jobs, and what can be killed."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import random
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyspark

from chaos.errors import ChaosError
from chaos.stage.spark.processes import (
    DAEMON,
    command,
    is_driver_jvm,
    is_executor,
    is_worker,
    kill,
    kill_one,
    of_session,
)

START = 90.0
"""Seconds that a driver may take to start."""

_CONF = {
    "spark.ui.enabled": "false",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
    # Jobs are short: the optimizing compiler would take longer than it saves.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.python.daemon.module": DAEMON,
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.memory": "1g",
    "spark.executor.memory": "512m",
    "spark.sql.shuffle.partitions": "3",
    "spark.sql.files.maxPartitionBytes": "200k",
    "spark.sql.session.timeZone": "America/New_York",
    "spark.speculation": "true",
    "spark.speculation.quantile": "0.5",
    "spark.speculation.minTaskRuntime": "1s",
    "spark.excludeOnFailure.enabled": "false",
    "spark.executor.maxNumFailures": "1000",
    "spark.deploy.maxExecutorRetries": "-1",
    "spark.network.timeout": "20s",
    "spark.network.timeoutInterval": "5s",
    "spark.executor.heartbeatInterval": "2s",
    "spark.shuffle.io.maxRetries": "1",
    "spark.shuffle.io.retryWait": "1s",
}


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        status: Its exit status; None if its driver was killed.
        out, err: Its output.
    """

    status: int | None
    out: str = ""
    err: str = ""

    @property
    def last_line(self) -> str:
        """Return the last line of its error output."""
        lines = self.err.strip().splitlines()
        return lines[-1] if lines else "nothing"


class Driver:
    """A Spark driver that runs one job after another.

    Args:
        master: Spark's master: `local-cluster[2,1,640]` has executors as processes.
        folder: The folder for everything that it writes.
        password: The password of the jobs' role.
    """

    def __init__(self, master: str, folder: Path, password: str) -> None:
        self._kill_request = folder / "kill-task"
        self._log = (folder / "spark.log").open("ab")
        answers, other_end = os.pipe()
        places = {name: folder / name for name in ("warehouse", "events", "local", "tmp")}
        for place in places.values():
            place.mkdir(exist_ok=True)
        conf = {**_CONF, "spark.master": master, "spark.sql.warehouse.dir": str(places["warehouse"])}
        conf |= {"spark.eventLog.dir": str(places["events"]), "spark.local.dir": str(places["local"])}
        arguments = [shlex.join(["--conf", f"{name}={value}"]) for name, value in conf.items()]
        environ = {
            **os.environ,
            "PYSPARK_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYSPARK_SUBMIT_ARGS": " ".join([*arguments, "pyspark-shell"]),
            "SPARK_HOME": str(_spark_home(folder / "spark")),
            "TMPDIR": str(places["tmp"]),
            "PGPASSWORD": password,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "chaos.stage.spark.program", str(other_end), str(self._kill_request)],
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            pass_fds=[other_end],
            env=environ,
            cwd=folder,
            start_new_session=True,
        )
        os.close(other_end)
        self._answers: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._listen, args=(answers,), daemon=True).start()
        if self.await_outcome(START).status is None:
            raise ChaosError(f"Spark does not start:\n{(folder / 'spark.log').read_text()[-1000:]}")

    def _listen(self, answers: int) -> None:
        with os.fdopen(answers) as lines:
            for line in lines:
                self._answers.put(line)
        self._answers.put(None)

    def ask(self, job: Mapping[str, Any]) -> None:
        """Start a job."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        with contextlib.suppress(BrokenPipeError):  # it has died, which its outcome shows
            self._process.stdin.write(json.dumps(job).encode() + b"\n")
            self._process.stdin.flush()

    def await_outcome(self, patience: float) -> Outcome:
        """Wait for the end of the job.

        Raises:
            ChaosError: It does not end in time.
        """
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            raise ChaosError(f"a job did not end within {patience:.0f} s") from None
        if line is None:
            self._answers.put(None)  # later calls get the same
            self._process.wait()
            return Outcome(None)
        answer = json.loads(line)
        return Outcome(answer.get("status", 0), answer.get("out", ""), answer.get("err", ""))

    @property
    def left(self) -> list[str]:
        """Return the driver's remaining processes after its end: everything that it started is in its session."""
        return [] if self.runs else [command(one)[-100:] for one in of_session(self._process.pid)]

    @property
    def runs(self) -> bool:
        """Return whether it still runs."""
        return self._process.poll() is None

    @property
    def serves(self) -> bool:
        """Whether it can run another job: its Python and its JVM both live."""
        return self.runs and any(map(is_driver_jvm, self._family()))

    def kill(self) -> None:
        """Kill the driver: its Python, then its JVM. Executors have to notice by themselves."""
        below = self._family()
        self._process.kill()
        for process in below:
            if is_driver_jvm(process):
                kill(process)
        self._process.wait()

    def close(self) -> None:
        """End it, with all processes below it."""
        below = self._family()
        self._process.kill()
        self._process.wait()
        for process in (*below, *of_session(self._process.pid)):
            kill(process)
        self._log.close()

    def kill_task(self) -> None:
        """Have Spark kill a running task."""
        self._kill_request.touch()

    def kill_worker(self, choose: random.Random) -> None:
        """Kill a Python worker, or the daemon that forks them."""
        kill_one(choose, [process for process in self._family() if is_worker(process)])

    def kill_executor(self, choose: random.Random) -> None:
        """Kill the JVM of an executor."""
        kill_one(choose, [process for process in self._family() if is_executor(process)])

    def _family(self) -> list[psutil.Process]:
        try:
            children: list[psutil.Process] = psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []
        return children


def _spark_home(folder: Path) -> Path:
    """Copy the installed Spark into a folder of ours, because the workers of a local cluster write below it."""
    if not folder.exists():
        folder.mkdir()
        installed = Path(pyspark.__file__).parent
        for name in ("bin", "conf", "jars", "python", "sbin"):
            if (installed / name).exists():
                (folder / name).symlink_to(installed / name)
    return folder
