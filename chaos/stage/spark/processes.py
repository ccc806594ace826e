"""The processes below a Spark driver: which of them is what, and how one is killed."""

from __future__ import annotations

import contextlib
import os
import random

import psutil

DAEMON = "chaos.stage.spark.daemon"
"""The module of the daemon that forks Spark's Python workers."""


def of_session(number: int) -> list[psutil.Process]:
    """Return the processes of a session, including those whose parents have died."""
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == number and process.status() != psutil.STATUS_ZOMBIE:
                members.append(process)
    return members


def command(process: psutil.Process) -> str:
    """Return the command line of a process; empty if it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def is_executor(process: psutil.Process) -> bool:
    """Return whether it is the JVM of an executor."""
    return "CoarseGrainedExecutorBackend" in command(process)


def is_worker(process: psutil.Process) -> bool:
    """Return whether it is a Python worker, or the daemon that forks them."""
    return f"-m {DAEMON}" in command(process)  # the JVM's settings name this module, too


def is_driver_jvm(process: psutil.Process) -> bool:
    """Return whether it is the driver's JVM."""
    return "pyspark-shell" in command(process)


def kill_one(choose: random.Random, processes: list[psutil.Process]) -> None:
    """Kill one of some processes, if there are any."""
    if processes:
        kill(choose.choice(processes))


def kill(process: psutil.Process) -> None:
    """Kill a process, unless it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
