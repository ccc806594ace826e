"""All processes of the machine, read where they are told: a bare system has no `ps`."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Process(NamedTuple):
    """A process that runs, and is no zombie.

    Attributes:
        pid: its id.
        parent: its parent's id.
        group: its group's id.
        line: its program and arguments; empty for a thread of the kernel.
    """

    pid: int
    parent: int
    group: int
    line: str


def process_table() -> list[Process]:
    """Every process that anybody on the machine sees, with its arguments whole."""
    if not (_PROC / "self" / "stat").exists():  # macOS
        command = ["/bin/ps", "-Aww", "-o", "pid=,ppid=,pgid=,state=,command="]
        listed = subprocess.run(command, capture_output=True, text=True, check=True)
        lines = [line.split(None, 4) for line in listed.stdout.splitlines()]
        return [
            Process(int(pid), int(parent), int(group), "".join(line))
            for pid, parent, group, state, *line in lines
            if not state.startswith("Z")
        ]
    found = []
    for folder in _PROC.glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended while it was read
            # The second field is the program's name in parentheses, and may itself hold blanks and parentheses.
            state, parent, group, *_ = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ").rstrip()
            if state != "Z":
                found.append(Process(int(folder.name), int(parent), int(group), line))
    return found
