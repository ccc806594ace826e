from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
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


def starts_another(parent: subprocess.Popen[bytes], before: frozenset[int]) -> int:
    assert parent.stdin is not None
    parent.stdin.write(b"\n")
    parent.stdin.flush()
    deadline = time.monotonic() + 20
    while children(parent.pid) == before and time.monotonic() < deadline:
        time.sleep(0.001)
    [pid] = children(parent.pid) - before
    return pid


def was_stopped(pid: int, seconds: float = 0.3) -> bool:
    """Look for a while whether a process is stopped."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.002)
    return False


def test_a_process_that_starts_while_throttled_gets_a_tenth_of_a_core(parent: subprocess.Popen[bytes]) -> None:
    before = children(parent.pid)
    with throttled(parent.pid):
        pid, start = starts_another(parent, before), time.monotonic()
        time.sleep(1)
        used, seconds = cpu(pid), time.monotonic() - start
    assert 0.5 * SHARE < used / seconds < 1.3 * SHARE


def test_a_process_that_ran_before_is_left_alone_and_all_run_after(parent: subprocess.Popen[bytes]) -> None:
    [older] = before = children(parent.pid)
    with throttled(parent.pid):
        newer = starts_another(parent, before)
        assert was_stopped(newer, 20)  # on a busy machine, it takes a while to use more than its share
        assert not was_stopped(older)
    assert not was_stopped(newer)


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
        time.sleep(0.2)
        bench.kill()
    deadline = time.monotonic() + 20
    while was_stopped(pid) and time.monotonic() < deadline:
        pass
    assert not was_stopped(pid)


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
