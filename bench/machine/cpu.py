"""CPU of a benchmark that has all in one family of processes: the JVM, Python, and the server."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from bench.machine import watch
from bench.machine.samples import PAUSE


class Cpu(NamedTuple):
    """CPU seconds so far."""

    jvm: float
    python: float
    server: float

    def since(self, before: Cpu) -> Cpu:
        """Return what was used since then."""
        return Cpu(*(now - then for now, then in zip(self, before)))


def so_far(server_pid: int) -> Cpu:
    """Return the CPU seconds of this process's family and of the server, as soon as processes that end have ended."""
    time.sleep(PAUSE)
    ours = list(watch.family(os.getpid()))
    jvm = sum(one.cpu for one in ours if one.program.endswith("java"))
    python = sum(one.cpu for one in ours if "python" in Path(one.program).name)
    return Cpu(jvm, python, sum(one.cpu for one in watch.family(server_pid)))
