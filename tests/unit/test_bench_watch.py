from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.errors import BenchError

pytest.importorskip("psutil", reason="psutil is of the group bench, and comes with most machines' group dev")
from bench.machine import watch

BURN = "import time\nwhile time.process_time() < 0.5: pass"
# The command's own child burns, and ends long before the command does.
PARENT = f"import subprocess, sys, time\nsubprocess.run([sys.executable, '-c', {BURN!r}])\ntime.sleep(0.5)"


def test_the_cpu_of_a_child_that_ended_counts(tmp_path: Path) -> None:
    samples = watch.run([sys.executable, "-c", PARENT], os.environ, tmp_path / "log", os.getpid())
    assert max(one.client_cpu for one in samples[-5:]) >= 0.4


def test_counters_of_the_whole_machine_go_up_by_more_than_those_of_the_command(tmp_path: Path) -> None:
    samples = watch.run([sys.executable, "-c", BURN], os.environ, tmp_path / "log", os.getpid())
    assert samples[-1].machine_cpu - samples[0].machine_cpu >= 0.3


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no luck"):
        watch.run([sys.executable, "-c", "raise SystemExit('no luck')"], os.environ, tmp_path / "log", os.getpid())


@pytest.mark.filterwarnings(  # the interruption may come just when psutil has opened a file
    "ignore::pytest.PytestUnraisableExceptionWarning"
)
def test_an_interruption_ends_the_command(tmp_path: Path) -> None:
    log, started = tmp_path / "log", time.monotonic()

    def interrupt() -> None:
        while not log.exists() or b"ready" not in log.read_bytes():
            time.sleep(0.05)
        signal.raise_signal(signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    command = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
    with pytest.raises(KeyboardInterrupt):
        watch.run(command, os.environ, log, os.getpid())
    assert time.monotonic() - started < 30


def test_processes_that_are_gone_have_no_family() -> None:
    assert list(watch.family(2**22 + 1)) == []
