"""A command that run_to_end runs takes its children along."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pgjobs.local.process_group import run_to_end
from servermgr import processes

# The command starts a child of its own, tells its id, and both sleep; the second kind is deaf to interrupts.
SLEEPERS = ["sleep 600 & echo $! > pid; wait", "trap '' INT; sleep 600 & echo $! > pid; wait"]
RUNNER = """
import os, sys
from pathlib import Path
from pgjobs.local.process_group import run_to_end
run_to_end(["sh", "-c", sys.argv[1]], Path.cwd(), os.environ, patience=0.5)
"""


def until(condition: Callable[[], bool], patience: float = 120.0) -> bool:
    deadline = time.monotonic() + patience
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_its_status_is_the_commands(tmp_path: Path) -> None:
    assert run_to_end(["sh", "-c", "exit 7"], tmp_path, os.environ) == 7


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("sleeper", SLEEPERS)
def test_nothing_runs_on_after_an_interrupt_or_termination(
    tmp_path: Path, ending: signal.Signals, sleeper: str
) -> None:
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, sleeper], cwd=tmp_path, stderr=subprocess.PIPE)
    pid = tmp_path / "pid"
    assert until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    runner.send_signal(ending)
    _, complaint = runner.communicate(timeout=120)
    assert b"KeyboardInterrupt" in complaint
    assert until(lambda: not processes.started(int(pid.read_text())))
