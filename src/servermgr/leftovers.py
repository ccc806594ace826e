"""What an earlier server left in the data directory: its owner's record, its lock file, perhaps itself."""

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
GRACE = 10.0  # seconds for an orphan's fast shutdown, before an immediate one


@dataclass(frozen=True)
class Owner:
    """The process that started the server of a data directory.

    Args:
        pid: The owner's process id.
        started: When that process started; a recycled pid has another value.
        server: The postmaster's process id.
    """

    pid: int
    started: str
    server: int

    def lives(self) -> bool:
        """Tell whether the owner is still there."""
        return bool(self.started) and processes.started(self.pid) == self.started


@contextlib.contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Keep others who use this module from starting a server on the directory at the same time."""
    descriptor = os.open(data_dir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def record_owner(data_dir: Path, server: int, account: Account | None) -> None:
    """Write down that this process owns the server."""
    owner = Owner(os.getpid(), processes.started(os.getpid()), server)
    with new_file(data_dir / OWNER_FILE, account) as file:
        file.write(json.dumps(asdict(owner)).encode())


def owner_of(data_dir: Path) -> Owner | None:
    """Read who owns the server; None when nobody said so, or not in full."""
    try:
        return Owner(**json.loads((data_dir / OWNER_FILE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def forget_owner(data_dir: Path, server: int) -> None:
    """Remove the record of a server that has stopped, unless the directory has got another server since."""
    owner = owner_of(data_dir)
    if owner and owner.server == server:
        (data_dir / OWNER_FILE).unlink(missing_ok=True)


def clear(data_dir: Path, grace: float = GRACE) -> None:
    """Make the data directory free for a new server: stop an orphan, remove a lock file that nobody holds.

    Args:
        data_dir: The data directory, absolute and resolved.
        grace: Seconds an orphan has for its fast shutdown.

    Raises:
        WorkerError: A server runs there whose owner lives, or that was started by other means, or will not stop.
    """
    owner = owner_of(data_dir)
    # A server that has just started is in the owner's record, but not yet in the lock file.
    for pid in {processes.locked_by(data_dir), owner.server if owner else None} - {None}:
        if pid is not None and processes.is_postmaster(pid, data_dir):
            _stop_orphan(pid, owner, data_dir, grace)
    # PostgreSQL takes any living process of its user for a rival: it would not start over a recycled pid.
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
            f"{data_dir} is in use by the PostgreSQL (pid {pid}) of the process {owner.pid}, which lives: "
            f"stop that process, or name another data directory"
        )
    if not processes.shut_down(pid, data_dir, grace):
        raise WorkerError(f"the orphaned PostgreSQL (pid {pid}) of {data_dir} does not stop: kill it, then start again")
