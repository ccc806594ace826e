"""Where servers of tests keep their data: in memory where there is room.

To make and drop a database, as most tests do, is to make and drop 300 files. A disk takes five times the CPU for that.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from servermgr.postgres import Manager  # not at run time: Windows lacks what it needs

MEMORY = Path("/dev/shm")
ENOUGH = 4 << 30
"""Bytes that must be free, for all servers of all workers."""

PATIENCE = 120.0
"""Seconds for a server to start. The ten that the Manager itself gives it are too few on a very busy machine."""


@contextmanager
def server_folder(mode: int = 0o755) -> Iterator[Path]:
    """A folder for as long as the block runs. As root, the server runs as another user, who must get in."""
    directory = Path(tempfile.mkdtemp(prefix="pgjobs-test-", dir=_in_memory()))
    directory.chmod(mode)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


@contextmanager
def serving(manager: Manager) -> Iterator[Manager]:
    """A server that runs for as long as the block does, on a busy machine, too."""
    manager.start(timeout=PATIENCE)
    try:
        yield manager
    finally:
        manager.stop()


def _in_memory() -> Path | None:
    with suppress(OSError):
        if shutil.disk_usage(MEMORY).free >= ENOUGH:
            return MEMORY
    return None
