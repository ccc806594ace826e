"""What an earlier server left in the data directory: the record of its owner, its lock file, perhaps the server."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from servermgr import processes
from servermgr.datadir import new_file
from servermgr.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servermgr.stepdown import Account

OWNER_FILE = "servermgr.json"
GRACE = 10.0  # seconds for the fast shutdown of an orphaned server, before an immediate one


@dataclass(frozen=True)
class Owner:
    """The process that started the server of a data directory.

    Args:
        pid: The owner's process id.
        started: The start time of that process. A process that reuses the pid has another start time.
        server: The postmaster's process id.
    """

    pid: int
    started: str
    server: int

    def lives(self) -> bool:
        """Return whether the owner still runs."""
        return bool(self.started) and processes.started(self.pid) == self.started


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Prevent other users of this module from starting a server on the directory at the same time."""
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def record_owner(data_dir: Path, server: int, account: Account | None) -> None:
    """Record that this process owns the server."""
    owner = Owner(os.getpid(), processes.started(os.getpid()), server)
    with new_file(data_dir / OWNER_FILE, account) as file:
        file.write(json.dumps(asdict(owner)).encode())


def owner_of(data_dir: Path) -> Owner | None:
    """Return the recorded owner of the server; None if there is no complete record."""
    try:
        return Owner(**json.loads((data_dir / OWNER_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget_owner(data_dir: Path, server: int) -> None:
    """Remove the record of a stopped server, unless the directory has another server by now."""
    owner = owner_of(data_dir)
    if owner and owner.server == server:
        (data_dir / OWNER_FILE).unlink(missing_ok=True)


def clear(data_dir: Path, grace: float = GRACE) -> None:
    """Prepare the data directory for a new server: stop an orphaned server and remove a stale lock file.

    Args:
        data_dir: The data directory, absolute and resolved.
        grace: Seconds for the fast shutdown of an orphaned server.

    Raises:
        WorkerError: A server runs there whose owner still runs, which was started by other means, or which does not
            stop.
    """
    owner = owner_of(data_dir)
    # A server that has just started is in the owner's record but not yet in the lock file.
    for pid in {processes.locked_by(data_dir), owner.server if owner else None} - {None}:
        if pid is not None and processes.is_postmaster(pid, data_dir):
            _stop_orphan(pid, owner, data_dir, grace)
    # PostgreSQL treats any running process of its user with this pid as a server, and refuses to start.
    if processes.locked_by(data_dir) is not None:
        (data_dir / processes.LOCK_FILE).unlink(missing_ok=True)
    (data_dir / OWNER_FILE).unlink(missing_ok=True)


def _stop_orphan(pid: int, owner: Owner | None, data_dir: Path, grace: float) -> None:
    if owner is None or owner.server != pid:
        raise WorkerError(
            f"{data_dir} is in use by a PostgreSQL (pid {pid}) that servermgr did not start: stop it first"
        )
    if owner.lives():
        raise WorkerError(
            f"{data_dir} is in use by the PostgreSQL (pid {pid}) of the process {owner.pid}, which still runs: "
            f"stop that process, or name another data directory"
        )
    if not processes.shut_down(pid, data_dir, grace):
        raise WorkerError(f"the orphaned PostgreSQL (pid {pid}) of {data_dir} does not stop: kill it, then start again")
