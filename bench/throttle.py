"""A server of many slow cores, on a machine of few fast ones: each process that serves a client gets a tenth of a core.

What a server does in one process then takes ten times as long, and what it does in sixteen does not. The right to send
signals to the server's processes is enough: one that has used up its share is stopped (SIGSTOP) until its share has
grown again. The share grows with time, so that the sum is exact however late the watch looks. Processes that ran before
(checkpointer, WAL writer, ...) are left alone. Needs Linux's /proc.

    python -m bench.throttle PID
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARE = 0.1
"""Of a core, for each process."""
PERIOD = 0.005
"""Seconds between two looks. A process may run for so long before it is stopped."""
SAVED = 0.01
"""Seconds of CPU that a waiting process may save up."""
READY = b"ready\n"
ENDS_IN = 60.0  # seconds, at most


@contextlib.contextmanager
def throttled(parent: int) -> Iterator[None]:
    """Throttle the processes that a process starts from now on, as long as the context lasts.

    Raises:
        BenchError: The processes cannot be watched.
    """
    command = [sys.executable, "-m", "bench.throttle", str(parent)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as watcher:
        try:
            if watcher.stdout is None or watcher.stdout.readline() != READY:
                raise BenchError("the server's processes cannot be throttled: that needs Linux's /proc")
            yield
            if watcher.poll() is not None:
                raise BenchError("the server was not throttled to the end")
        finally:
            watcher.terminate()
            watcher.wait(ENDS_IN)


@dataclass
class Throttled:
    """A process, and its share.

    Attributes:
        used: Seconds of CPU at the last look.
        credit: Seconds of CPU that it may still use; negative while it has used too much.
    """

    used: float
    credit: float = 0.0
    is_stopped: bool = False

    def look(self, used: float, elapsed: float) -> signal.Signals | None:
        """Account for the time since the last look. Return the signal that the process is to get, if any."""
        self.credit = min(SAVED, self.credit + SHARE * elapsed - (used - self.used))
        self.used = used
        if (self.credit < 0) == self.is_stopped:
            return None
        self.is_stopped = self.credit < 0
        return signal.SIGSTOP if self.is_stopped else signal.SIGCONT


@dataclass
class Watch:
    """The processes that are throttled.

    Attributes:
        others: Children that are left alone.
    """

    parent: int
    others: frozenset[int]
    throttled: dict[int, Throttled] = field(default_factory=dict)

    def look(self, elapsed: float) -> None:
        """Look at all processes once."""
        now = children(self.parent) - self.others
        self.throttled = {pid: self.throttled.get(pid) or Throttled(0.0) for pid in now}
        for pid, process in self.throttled.items():
            with contextlib.suppress(OSError):  # it has ended
                wanted = process.look(cpu(pid), elapsed)
                if wanted is not None:
                    os.kill(pid, wanted)

    def release(self) -> None:
        """Let all of them run."""
        for pid in self.throttled:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)


def children(pid: int) -> frozenset[int]:
    """Return the children of a process."""
    return frozenset(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def cpu(pid: int) -> float:
    """Return the seconds of CPU of a process."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def main(parent: int) -> None:
    """Throttle until SIGTERM, or until the process that started this one, or the one that is watched, has ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    starter = os.getppid()
    watch = Watch(parent, children(parent))
    cpu(parent)
    os.write(sys.stdout.fileno(), READY)
    before = time.monotonic()
    try:
        while os.getppid() == starter:
            time.sleep(PERIOD)
            now = time.monotonic()
            watch.look(now - before)
            before = now
    except FileNotFoundError:
        return
    finally:
        watch.release()


if __name__ == "__main__":
    main(int(sys.argv[1]))
