"""A process on the driver that holds a session while executors work.

Spark plans in Python processes that end when they have planned, and so would their connections. A keeper goes on:
until what it holds is wanted no more, its connection breaks, or the driver is gone. What it is to do comes by its
standard input, secrets among it; what it took is told by its standard output.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session


class Holding(Protocol):
    """What a keeper holds. It is pickled before it is taken."""

    @property
    def period(self) -> float:
        """Seconds until the next look at whether to go on."""

    def take(self, session: Session) -> Any:  # noqa: ANN401 - whatever the holding tells of itself
        """Take hold, and tell what is held."""

    def wanted(self, session: Session) -> bool:
        """Whether to go on holding."""

    def leave(self, session: Session) -> None:
        """Let go."""


@dataclass(frozen=True)
class Keeping:
    """What a keeper is told.

    Attributes:
        label: for pg_stat_activity.
        driver: the id of a process that lives as long as the driver.
    """

    settings: Settings
    label: str
    holding: Holding
    driver: int


def keep(settings: Settings, label: str, holding: Holding, driver: int | None = None) -> Any:  # noqa: ANN401 - see take
    """Have a process of its own hold something, and return what it took.

    Args:
        settings: for its connection.
        label: for pg_stat_activity.
        holding: what to take, how long and how to leave it.
        driver: the id of the process without which nothing is wanted; by default the parent of this one: that of
            Spark's planners is the driver's JVM, or its daemon.

    Raises:
        JobError: it could not be taken.
    """
    keeping = Keeping(settings, label, holding, driver or os.getppid())
    done = subprocess.run(
        [sys.executable, "-m", "jobs.pgcopy.sidecar"],
        input=pickle.dumps(keeping),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # what a terminal sends is for the driver: its end is noticed
        check=False,
    )
    if not done.stdout:
        raise JobError(f"The process that was to hold {label} ended: {done.stderr.decode(errors='replace').strip()}")
    told = pickle.loads(done.stdout)  # noqa: S301 - our own child's
    if isinstance(told, JobError):
        raise told
    return told


def main() -> None:
    """Take hold; go on in the background, so that whoever waits for this process is told when it holds."""
    keeping: Keeping = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    try:
        session = connect_pinned(keeping.settings, keeping.label)
        told = keeping.holding.take(session)
    except JobError as error:
        _tell(error)
        return
    _tell(told)
    if os.fork():
        os._exit(0)  # the session is the child's: it is not to be closed here
    with Path(os.devnull).open("r+b") as nowhere, session:
        for stream in (0, 1, 2):
            os.dup2(nowhere.fileno(), stream)
        watch(session, keeping.holding, keeping.driver)


def _tell(told: object) -> None:
    sys.stdout.buffer.write(pickle.dumps(told))
    sys.stdout.buffer.flush()


def watch(session: Session, holding: Holding, driver: int) -> None:
    """Hold until it is wanted no more, the connection breaks, or the driver has ended."""
    with suppress(JobError):
        while _runs(driver) and holding.wanted(session):
            time.sleep(holding.period)
        holding.leave(session)


def _runs(process: int) -> bool:
    """Whether a process is there. Ids are given anew only after all others, which takes longer than a period."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()
