"""A clock of the server's that can jump: libfaketime between the server and its machine, where there is one.

The server's alone. Python's `time.sleep` fails under libfaketime, and so does a driver. What the jobs measure, they
measure by a clock that does not jump (`time.monotonic`).
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_CACHED = 1
"""Seconds for which a process of the server's keeps the offset."""

JUMPS = (-86_400, -3_600, -90, 90, 3_600, 86_400)
"""Seconds."""


def library() -> Path | None:
    """Where libfaketime is: apt install libfaketime."""
    for place in _PLACES:
        for path in Path("/").glob(place[1:]):
            return path
    return None


class Clock:
    """How far the server's clock is off.

    Args:
        file: keeps it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.right()

    def jump(self, choose: random.Random) -> None:
        """Be wrong from now on."""
        self._file.write_text(f"{choose.choice(JUMPS):+d}\n")

    def right(self) -> None:
        """Be right again."""
        self._file.write_text("+0\n")

    @contextlib.contextmanager
    def for_children(self) -> Iterator[None]:
        """Processes that are started meanwhile have this clock, where it can be had."""
        found = library()
        if found is None:
            yield
            return
        names = {
            "LD_PRELOAD": str(found),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(_CACHED),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
