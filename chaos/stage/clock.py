"""A clock of the server that can jump: libfaketime between the server and its machine, if it is installed.

Only the server uses it. Python's `time.sleep` fails under libfaketime, and so would a driver. Jobs measure time by a
clock that does not jump (`time.monotonic`).
"""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator
from pathlib import Path

_PLACES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")
_CACHED = 1
"""Seconds for which a server process caches the offset."""

JUMPS = (-86_400, -3_600, -90, 90, 3_600, 86_400)
"""Seconds."""


def library() -> Path | None:
    """Return the path of libfaketime, if it is installed (apt install libfaketime)."""
    for place in _PLACES:
        for path in Path("/").glob(place[1:]):
            return path
    return None


class ServerClock:
    """The offset of the server's clock.

    Args:
        file: The file that stores it.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.right()

    def jump(self, choose: random.Random) -> None:
        """Set a wrong time."""
        self._file.write_text(f"{choose.choice(JUMPS):+d}\n")

    def right(self) -> None:
        """Set the right time."""
        self._file.write_text("+0\n")

    @contextlib.contextmanager
    def for_children(self) -> Iterator[None]:
        """Give this clock to processes that the block starts, if libfaketime is installed."""
        path = library()
        if path is None:
            yield
            return
        names = {
            "LD_PRELOAD": str(path),
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
