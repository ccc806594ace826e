"""Progress of a copy while it runs, from the server's own counts, over the driver's idle connection.

These queries also keep a firewall or proxy from closing the connection as idle.
"""

from __future__ import annotations

import sys
import threading
import time
from contextlib import suppress
from typing import TextIO

from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.flows.report import readable_size

TERMINAL_PERIOD = 1.0
"""Seconds between two updates of the line on a terminal."""

LOG_PERIOD = 10.0
"""Seconds between two lines in a log. Six a minute are enough to see progress."""


class Progress:
    """As a context manager, shows a line of progress until its block ends.

    Until then, this object's thread owns the session.
    """

    def __init__(self, session: Session, names: Staging, parts: int, out: TextIO | None = None) -> None:
        self._session = session
        self._names = names
        self._parts = parts
        self._out = out or sys.stderr
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pgjobs-progress", daemon=True)
        self._start = time.monotonic()

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        if self._out.isatty():
            self._out.write("\r\x1b[K")

    def _watch(self) -> None:
        period = TERMINAL_PERIOD if self._out.isatty() else LOG_PERIOD
        with suppress(JobError):  # publish handles a broken connection
            while not self._done.wait(period):
                self._show()

    def _show(self) -> None:
        claimed = parts.tally(self._session, self._names)
        rows, size = parts.in_progress(self._session, self._names)
        line = progress_line(
            claimed.parts,
            self._parts,
            claimed.rows + rows,
            claimed.bytes + size,
            time.monotonic() - self._start,
        )
        self._out.write(f"\r{line}\x1b[K" if self._out.isatty() else f"{line}\n")
        self._out.flush()


def progress_line(parts: int, all_parts: int, rows: int, size: int, seconds: float) -> str:
    """Return parts done, rows and speed as one line."""
    width = 20
    filled = width * parts // all_parts if all_parts else width
    bar = "#" * filled + "." * (width - filled)
    return f"copy [{bar}] {parts}/{all_parts} parts, {rows:,} rows, {readable_size(size / max(seconds, 0.001))}/s"
