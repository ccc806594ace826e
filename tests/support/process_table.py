"""All processes of the machine, read where they are told: a bare system has no `ps`."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Process(NamedTuple):
    """A process that runs.

    Attributes:
        pid: its id.
        parent: its parent's id.
        line: its program and arguments; empty for a thread of the kernel.
    """

    pid: int
    parent: int
    line: str


def process_table() -> list[Process]:
    """Every process that anybody on the machine sees, with its arguments whole."""
    if not (_PROC / "self" / "stat").exists():  # macOS
        command = ["/bin/ps", "-Aww", "-o", "pid=,ppid=,command="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = [line.split(None, 2) for line in listed.stdout.splitlines()]
        return [Process(int(pid), int(parent), "".join(line)) for pid, parent, *line in lines]
    found = []
    for folder in _PROC.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended while it was read
            # The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
            parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").rstrip()
            found.append(Process(int(folder.name), int(parent), line))
    return found
