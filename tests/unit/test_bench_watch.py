from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.errors import BenchError

pytest.importorskip("psutil", reason="psutil is of the group bench, and comes with most machines' group dev")
from bench.machine import watch

BURN = "import time\nwhile time.process_time() < 0.5: pass"
# The command's own child burns, and ends before the command does.
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {BURN!r}])\nprint(flush=True)\ninput()"


def test_the_cpu_of_a_child_that_ended_counts() -> None:
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert watch.sample(os.getpid(), process.pid).client_cpu >= 0.4
        process.communicate(b"\n")


def test_counters_of_the_whole_machine_go_up_by_more_than_those_of_the_command() -> None:
    before = watch.sample(os.getpid(), os.getpid())
    subprocess.run([sys.executable, "-c", BURN], check=True)
    assert watch.sample(os.getpid(), os.getpid()).machine_cpu - before.machine_cpu >= 0.3


def test_a_command_is_sampled_while_it_runs(tmp_path: Path) -> None:
    go = tmp_path / "go"
    telling = threading.Timer(0.3, go.touch)
    telling.start()
    command = ["sh", "-c", 'until [ -e "$0" ]; do sleep 0.05; done', str(go)]
    samples = watch.run(command, os.environ, tmp_path / "log", os.getpid())
    telling.join()
    assert samples[0].client_memory > 0


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
    command = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(600)"]
    with pytest.raises(KeyboardInterrupt):
        watch.run(command, os.environ, log, os.getpid())
    assert time.monotonic() - started < 300


def test_processes_that_are_gone_have_no_family() -> None:
    assert list(watch.family(2**22 + 1)) == []
