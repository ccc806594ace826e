"""What the operating system knows about a process: its start time, and whether it serves a data directory."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path, PurePath
from typing import NamedTuple

LOCK_FILE = "postmaster.pid"

_PROC = Path("/proc")
_DATA_DIRECTORY = re.compile(r" -D (/.*?)(?= -|$)")
_LISTEN_LINE = 6
_POLL = 0.05  # seconds between two checks of a process that is not a child of ours and cannot be waited for


class Command(NamedTuple):
    """How a process was started. Both fields are empty if it has ended or is a zombie."""

    program: str
    line: str


def started(pid: int) -> str:
    """Return the start time of a process, in a unit of the system. With the pid, it identifies a process uniquely.

    Returns:
        An opaque text; empty if there is no such process, or only its zombie.
    """
    if not (_PROC / "self" / "stat").exists():  # macOS
        return _ps("lstart", pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    # The second field is the name of the program in parentheses. It may contain blanks and parentheses itself.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def command_of(pid: int) -> Command:
    """Return how a process was started. A child process of PostgreSQL has a title instead: `postgres: checkpointer`."""
    if not (_PROC / "self" / "cmdline").exists():  # macOS
        return Command(_ps("comm", pid), _ps("command", pid))
    try:
        arguments = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError:
        return Command("", "")
    return Command(arguments[0], " ".join(arguments).rstrip())


def serves(command: Command, data_dir: Path) -> bool:
    """Return whether a command line is that of the postmaster of a data directory.

    A postmaster whose command line names no directory counts as one of this directory. A false positive is an error
    that a person can resolve, while removing the lock file of a running server destroys a database.
    """
    if PurePath(command.program).name not in {"postgres", "postmaster"}:
        return False
    if f" -D {data_dir} " in f"{command.line} ":
        return True
    named = _DATA_DIRECTORY.search(command.line)
    return named is None or Path(named[1]).resolve() == data_dir


def is_postmaster(pid: int, data_dir: Path) -> bool:
    """Return whether the process runs and is the postmaster of this (absolute, resolved) data directory."""
    return serves(command_of(pid), data_dir)


def locked_by(data_dir: Path) -> int | None:
    """Return the pid in the first line of the data directory's lock file; None if there is no such line."""
    try:
        first = (data_dir / LOCK_FILE).read_text(errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return None
    # A stand-alone backend writes its pid as a negative number, which kill() would interpret as a process group.
    return abs(int(first)) if re.fullmatch(r"-?\d+", first) else None


def is_listening(pid: int, data_dir: Path) -> bool:
    """Return whether this process is the data directory's server and has bound its port, which no other server has."""
    try:
        lines = (data_dir / LOCK_FILE).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return False
    # Line 6 is the first address that the server listens on. It is written after the port is bound.
    return len(lines) >= _LISTEN_LINE and lines[0] == str(pid) and bool(lines[_LISTEN_LINE - 1])


def shut_down(pid: int, data_dir: Path, grace: float) -> bool:
    """Stop a postmaster that is not a child of ours: by a fast shutdown, and after `grace` seconds by an immediate one.

    Returns:
        Whether it has ended.

    Raises:
        PermissionError: It belongs to another user.
    """
    for step in (signal.SIGINT, signal.SIGQUIT):
        if not is_postmaster(pid, data_dir):
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, step)
        deadline = time.monotonic() + grace
        while is_postmaster(pid, data_dir) and time.monotonic() < deadline:
            time.sleep(_POLL)
    return not is_postmaster(pid, data_dir)


def _ps(column: str, pid: int) -> str:
    command = ["/bin/ps", "-o", f"{column}=", "-p", str(pid)]
    completed = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - fixed but for a number
    return completed.stdout.strip()
