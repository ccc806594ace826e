"""Runs a command whose children end with it, also by Ctrl-C, and also where only this process was told to end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

PATIENCE = 20.0
"""Seconds from the interrupt to the kill: a job closes its sessions, and Spark its executors, in about 5."""

_ENDINGS = (signal.SIGINT, signal.SIGTERM)
_LOOKS_UP = 0.2
"""Seconds between looks whether an ending was asked for."""


def run_to_end(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    output: IO[Any] | None = None,
    patience: float = PATIENCE,
) -> int:
    """Run a command in a process group of its own; its exit status.

    Args:
        command: the program and its arguments.
        folder: its working directory.
        environ: its environment.
        output: where its outputs go; None for this process's own.
        patience: seconds that it has after an interrupt.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the command and its children have ended by then.
    """
    with _endings_noted() as asked:
        child = subprocess.Popen(
            command, cwd=folder, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        while not asked:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(_LOOKS_UP)
        _signal_group(child, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):  # then it is killed
            child.wait(patience)
        _signal_group(child, signal.SIGKILL)
        child.wait()
    raise KeyboardInterrupt


def _signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Signal the command and what it started; the group outlives its first process while another one runs."""
    with suppress(ProcessLookupError, PermissionError):  # all have ended; macOS says the latter of the dead
        os.killpg(child.pid, number)


@contextmanager
def _endings_noted() -> Iterator[list[int]]:
    """Note Ctrl-C, and SIGTERM as `timeout` and CI send it, instead of raising: it might be in mid-start."""
    asked: list[int] = []
    before = {number: signal.signal(number, lambda got, _: asked.append(got)) for number in _ENDINGS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
