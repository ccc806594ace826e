"""What the operating system knows of a process: its start, and whether it is a data directory's postmaster."""

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
_POLL = 0.05  # seconds between two looks at a process that is not our child, so cannot be waited for


class Command(NamedTuple):
    """How a process was started; both texts are empty when it is gone or a zombie."""

    program: str
    line: str


def started(pid: int) -> str:
    """Tell when a process started, in the system's own unit: with the pid, it names one process for ever.

    Returns:
        An opaque text, empty when there is no such process, or only its zombie.
    """
    if not (_PROC / "self" / "stat").exists():  # macOS
        return _ps("lstart", pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return ""
    # The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
    state, *fields = stat.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def command_of(pid: int) -> Command:
    """Tell how a process was started. A child of PostgreSQL has a title instead: `postgres: checkpointer`."""
    if not (_PROC / "self" / "cmdline").exists():  # macOS
        return Command(_ps("comm", pid), _ps("command", pid))
    try:
        arguments = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError:
        return Command("", "")
    return Command(arguments[0], " ".join(arguments).rstrip())


def serves(command: Command, data_dir: Path) -> bool:
    """Tell whether a command line is that of the postmaster of a data directory.

    A postmaster that does not say which directory it serves counts as this one's: a server in the way is an error
    that a person can clear, a lock file removed under a running server is a lost database.
    """
    if PurePath(command.program).name not in {"postgres", "postmaster"}:
        return False
    if f" -D {data_dir} " in f"{command.line} ":
        return True
    named = _DATA_DIRECTORY.search(command.line)
    return named is None or Path(named[1]).resolve() == data_dir


def is_postmaster(pid: int, data_dir: Path) -> bool:
    """Tell whether the process lives and is the postmaster of this (absolute, resolved) data directory."""
    return serves(command_of(pid), data_dir)


def locked_by(data_dir: Path) -> int | None:
    """Read the pid in the first line of the data directory's lock file; None when there is no such line."""
    try:
        first = (data_dir / LOCK_FILE).read_text(errors="replace").partition("\n")[0]
    except FileNotFoundError:
        return None
    # A stand-alone backend writes its pid negative, and kill() would take that for a process group.
    return abs(int(first)) if re.fullmatch(r"-?\d+", first) else None


def is_listening(pid: int, data_dir: Path) -> bool:
    """Tell whether the data directory's server is this process and has got its port, so that no other has."""
    try:
        lines = (data_dir / LOCK_FILE).read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return False
    # Line 6 is the first address it listens on, written when the port is its own.
    return len(lines) >= _LISTEN_LINE and lines[0] == str(pid) and bool(lines[_LISTEN_LINE - 1])


def shut_down(pid: int, data_dir: Path, grace: float) -> bool:
    """Stop a postmaster which is not our child: fast, and at once if that takes longer than `grace` seconds.

    Returns:
        Whether it is gone.

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
    found = subprocess.run(command, check=False, capture_output=True, text=True)  # noqa: S603 - fixed but for a number
    return found.stdout.strip()
