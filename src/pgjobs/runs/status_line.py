"""The last line of a terminal while a command waits for a run: its state, for how long, and how far its copy is.

What is printed meanwhile stands above this line. Without a terminal there is no such line, and a load's lines about its
progress are printed like others.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import TextIOBase
from typing import NamedTuple, TextIO, cast

from pgjobs.console import Console
from pgjobs.runs.poll import Clock
from pgjobs.runs.summary import duration

PERIOD = 1.0
"""Seconds between two updates of the line."""

_PROGRESS = re.compile(r"^copy (\[[#.]+\] \d+/\d+ parts, .*)\n", re.MULTILINE)
"""What load_table logs every 10 s."""


class StatusLine:
    """The line itself. It is rewritten by blanks, without escape sequences, which not every terminal understands.

    Args:
        out: The terminal.
        columns: Returns its width.
    """

    def __init__(self, out: TextIO, columns: Callable[[], int]) -> None:
        self._out, self._columns = out, columns
        self._shown = 0
        self._state, self._progress = "", ""
        self._since = 0.0

    def see(self, state: str, now: float) -> None:
        """Note the state of the run. Its copy starts anew with each attempt."""
        if state != self._state:
            self._state, self._since, self._progress = state, now, ""

    def sift(self, text: str) -> str:
        """Return lines of the job's output without those about its progress, of which the last is shown here."""
        found = _PROGRESS.findall(text)
        self._progress = found[-1] if found else self._progress
        return _PROGRESS.sub("", text)

    def show(self, now: float) -> None:
        """Show the line as it is now."""
        parts = (self._state, duration(int(now - self._since)), self._progress)
        text = "  ".join(filter(None, parts))[: max(self._columns() - 1, 0)] if self._state else ""
        self._out.write(f"\r{text.ljust(self._shown)}")
        self._out.flush()
        self._shown = len(text)

    def clear(self) -> None:
        """Remove the line, so that other text can be written."""
        if self._shown:
            self._out.write(f"\r{' ' * self._shown}\r")
            self._out.flush()
            self._shown = 0


class _Above(TextIOBase):
    """A stream whose text goes above the status line."""

    def __init__(self, stream: TextIO, line: StatusLine) -> None:
        super().__init__()
        self._stream, self._line = stream, line

    def write(self, text: str) -> int:
        self._line.clear()
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()


class Waiting(NamedTuple):
    """What a command waits with.

    Attributes:
        console: Prints above the line.
        clock: Updates the line while it sleeps.
        line: None without a terminal.
    """

    console: Console
    clock: Clock
    line: StatusLine | None


@contextmanager
def status_line(console: Console, clock: Clock) -> Iterator[Waiting]:
    """Keep a status line while the block waits, if stderr is a terminal."""
    if not console.err.isatty() or os.environ.get("TERM") == "dumb":
        yield Waiting(console, clock, None)
        return
    line = StatusLine(console.err, lambda: shutil.get_terminal_size().columns)

    def sleep(seconds: float) -> None:
        end = clock.now() + seconds
        while (rest := end - clock.now()) > 0:
            line.show(clock.now())
            clock.sleep(min(PERIOD, rest))

    out, err = (cast("TextIO", _Above(stream, line)) for stream in (console.out, console.err))
    try:
        yield Waiting(replace(console, out=out, err=err), replace(clock, sleep=sleep), line)
    finally:
        line.clear()
