from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.throttle import SAVED, SHARE, Throttled, children, cpu, throttled

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")

# As a postmaster: has a child from the start, and starts one more for each line that it reads. All of them burn.
PARENT = """
import os, sys
def start():
    if not os.fork():
        while True: pass
start()
print("ready", flush=True)
for _ in sys.stdin:
    start()
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            for pid in children(process.pid):
                os.kill(pid, signal.SIGKILL)
            process.kill()


def in_time(condition: Callable[[], bool], patience: float = 120.0) -> bool:
    """Whether something comes true: on a busy machine, all of it may come late."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def starts_another(parent: subprocess.Popen[bytes], before: frozenset[int]) -> int:
    assert parent.stdin is not None
    parent.stdin.write(b"\n")
    parent.stdin.flush()
    assert in_time(lambda: children(parent.pid) != before)
    [pid] = children(parent.pid) - before
    return pid


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def is_stopped_at_times(pid: int) -> bool:
    """Look for a while; a process that is throttled is stopped for most of it, if the machine is not busy."""
    return in_time(lambda: is_stopped(pid), 0.3)


def test_a_process_that_starts_while_throttled_gets_a_tenth_of_a_core(parent: subprocess.Popen[bytes]) -> None:
    """Sooner or later: a watch that comes late lets it have more, and takes that back."""
    before = children(parent.pid)
    with throttled(parent.pid):
        pid, start = starts_another(parent, before), time.monotonic()
        time.sleep(1)
        assert in_time(lambda: 0.5 * SHARE < cpu(pid) / (time.monotonic() - start) < 1.3 * SHARE)


def test_a_process_that_ran_before_is_left_alone_and_all_run_after(parent: subprocess.Popen[bytes]) -> None:
    [older] = before = children(parent.pid)
    with throttled(parent.pid):
        newer = starts_another(parent, before)
        assert in_time(lambda: is_stopped(newer))
        assert not is_stopped_at_times(older)
    assert not is_stopped_at_times(newer)


def test_the_processes_run_again_when_the_benchmark_is_killed(parent: subprocess.Popen[bytes]) -> None:
    before = children(parent.pid)
    block = (
        "import time\nfrom bench.throttle import throttled\n"
        f"with throttled({parent.pid}): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", block], stdout=subprocess.PIPE) as bench:
        assert bench.stdout is not None
        bench.stdout.readline()
        pid = starts_another(parent, before)
        assert in_time(lambda: is_stopped(pid))
        bench.kill()
    assert in_time(lambda: not is_stopped_at_times(pid))


@pytest.mark.parametrize(
    ("used", "elapsed", "credit", "wanted"),
    [
        (0.005, 0.01, -0.004, signal.SIGSTOP),
        (0.001, 0.01, 0.0, None),
        (0.0, 10.0, SAVED, None),
    ],
)
def test_credit_grows_with_time_and_lessens_by_use(
    used: float, elapsed: float, credit: float, wanted: signal.Signals | None
) -> None:
    process = Throttled(0.0)
    assert process.look(used, elapsed) == wanted
    assert process.credit == pytest.approx(credit)


def test_a_stopped_process_continues_when_its_share_has_grown() -> None:
    process = Throttled(0.0)
    signals = [process.look(0.005, 0.01), process.look(0.005, 0.01), process.look(0.005, 0.04)]
    assert signals == [signal.SIGSTOP, None, signal.SIGCONT]


def test_what_throttles_leaves_no_process(parent: subprocess.Popen[bytes]) -> None:
    before = children(os.getpid())
    with contextlib.suppress(KeyError), throttled(parent.pid):
        raise KeyError
    assert children(os.getpid()) <= before
