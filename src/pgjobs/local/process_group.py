"""Runs a command whose child processes end with it, also on Ctrl-C, and also if only this process is signalled."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PATIENCE = 20.0
"""Seconds from the interrupt to the kill: a job closes its sessions, and Spark its executors, within about 5 s."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM)
_LOOKS_UP = 0.2
"""Seconds between checks for a signal."""


def run_to_end(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    output: IO[Any] | None = None,
    patience: float = PATIENCE,
) -> int:
    """Run a command in its own process group. Returns its exit status.

    Args:
        command: The program and its arguments.
        folder: Its working directory.
        environ: Its environment variables.
        output: Where its output goes; None for the output of this process.
        patience: Seconds that it may take to end after an interrupt.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM. The command and its child processes have ended.
    """
    with _endings_noted() as signals:
        child = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        while not signals:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOKS_UP)
        _signal_group(child, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):  # it is killed next
            child.wait(patience)
        _signal_group(child, signal.SIGKILL)
        child.wait()
    raise KeyboardInterrupt


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to the command and to what it started. The group exists as long as one of its processes."""
    with suppress(ProcessLookupError, PermissionError):  # all processes have ended; macOS raises the latter for zombies
        os.killpg(child.pid, number)


@contextmanager
def _endings_noted() -> Iterator[list[int]]:
    """Record Ctrl-C, and SIGTERM from `timeout` and CI. Raising could interrupt the start of the command."""
    signals: list[int] = []
    before = {number: signal.signal(number, lambda got, _: signals.append(got)) for number in _ENDINGS}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
