"""Runs a command, and samples the processes of server and client meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

import psutil

from bench.errors import BenchError
from bench.machine.samples import DISTURBED, Sample

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

PERIOD = 0.05  # seconds between two samples, each of which takes about 4 ms of one core
LOG_LINES = 30  # shown if a command fails
QUIET_FOR, PATIENCE = 3.0, 30.0  # seconds of rest to wait for, and the maximum wait
WORKER = "pyspark.daemon"  # the module of which Spark's Python workers are forks
IDLE = ("idle", "iowait")  # states of an unused core


class Look(NamedTuple):
    """One process at one time: CPU in seconds, resident memory in bytes."""

    program: str
    arguments: tuple[str, ...]
    cpu: float
    memory: int


def run(command: Sequence[str], environ: Mapping[str, str], log: Path, server_pid: int) -> list[Sample]:
    """Run a command to its end. Its output goes to the log.

    Raises:
        BenchError: It failed.
    """
    samples = []
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environ) as process,
    ):
        try:
            while process.poll() is None:
                samples.append(sample(server_pid, process.pid))
                time.sleep(PERIOD)
        finally:
            process.terminate()  # has no effect if it has ended; if interrupted, it would continue
    if process.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:])
        raise BenchError(f"{command[0]} ended with status {process.returncode}:\n\n{tail}")
    return samples


def wait_for_quiet() -> None:
    """Wait until the machine is idle, for a limited time. The report names the loads that were disturbed."""
    deadline = time.monotonic() + PATIENCE
    while others() > DISTURBED and time.monotonic() < deadline:
        pass


def others() -> float:
    """Return how many cores are busy, over some seconds in which the benchmark rests."""
    share: float = psutil.cpu_percent(interval=QUIET_FOR) / 100
    return share * (os.cpu_count() or 1)


def sample(server_pid: int, client_pid: int) -> Sample:
    """Sample the processes now."""
    server, client = list(family(server_pid)), list(family(client_pid))
    machine = psutil.cpu_times()._asdict()
    jvm = [one.memory for one in client if one.program.endswith("/java")]
    workers = [one.memory for one in client if WORKER in one.arguments]
    return Sample(
        at=time.monotonic(),
        server_cpu=sum(one.cpu for one in server),
        client_cpu=sum(one.cpu for one in client),
        machine_cpu=sum(seconds for state, seconds in machine.items() if state not in IDLE),
        client_memory=sum(one.memory for one in client),
        jvm_memory=max(jvm, default=0),
        worker_memory=max(workers, default=0),
    )


def family(pid: int) -> Iterator[Look]:
    """Sample a process and all of its descendants. An ended one counts in the CPU of its parent."""
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                yield look(process)


def look(process: psutil.Process) -> Look:
    """Sample one process."""
    with process.oneshot():
        program, *arguments = process.cmdline() or [""]
        # user, system, and both of the child processes that ended and were waited for
        return Look(program, tuple(arguments), sum(process.cpu_times()[:4]), process.memory_info().rss)
