"""A process beside the driver that holds a session while executors work.

Spark plans in Python processes that end when they have planned, and their connections end with them. A sidecar goes on
until what it holds is no longer wanted, its connection breaks, or the driver has ended. It reads its assignment, which
may include secrets, from standard input, and writes to standard output what it took.
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
    """What a sidecar holds. It is pickled before it is taken."""

    @property
    def period(self) -> float:
        """Seconds between two calls of `wanted`."""

    def take(self, session: Session) -> Any:  # noqa: ANN401 - whatever the holding returns
        """Take hold, and return what was taken."""

    def wanted(self, session: Session) -> bool:
        """Whether to go on holding."""

    def leave(self, session: Session) -> None:
        """Release it."""


@dataclass(frozen=True)
class Assignment:
    """What a sidecar is to do.

    Attributes:
        label: for pg_stat_activity.
        driver: the id of a process that lives as long as the driver.
    """

    settings: Settings
    label: str
    holding: Holding
    driver: int


def hold_in_sidecar(settings: Settings, label: str, holding: Holding, driver: int | None = None) -> Any:  # noqa: ANN401 - whatever `take` returns
    """Start a sidecar, and return what it took.

    Args:
        settings: for its connection.
        label: for pg_stat_activity.
        holding: what to take, for how long, and how to release it.
        driver: the id of the process after whose end nothing is wanted; by default the parent of this process, which
            for Spark's planners is the driver's JVM or its daemon.

    Raises:
        JobError: it could not be taken.
    """
    assignment = Assignment(settings, label, holding, driver or os.getppid())
    sidecar = subprocess.run(
        [sys.executable, "-m", "jobs.pgcopy.sidecar"],
        input=pickle.dumps(assignment),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # a terminal's signals are for the driver: the sidecar notices its end
        check=False,
    )
    if not sidecar.stdout:
        reason = sidecar.stderr.decode(errors="replace").strip()
        raise JobError(f"The process that was to hold {label} ended: {reason}")
    answer = pickle.loads(sidecar.stdout)  # noqa: S301 - our own child's
    if isinstance(answer, JobError):
        raise answer
    return answer


def main() -> None:
    """Take hold, answer, and go on in the background: the parent waits for this process to end, and has its answer."""
    assignment: Assignment = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    try:
        session = connect_pinned(assignment.settings, assignment.label)
        taken = assignment.holding.take(session)
    except JobError as error:
        _answer(error)
        return
    _answer(taken)
    if os.fork():
        os._exit(0)  # the session is the child's, and must not be closed here
    with Path(os.devnull).open("r+b") as devnull, session:
        for stream in (0, 1, 2):
            os.dup2(devnull.fileno(), stream)
        watch(session, assignment.holding, assignment.driver)


def _answer(answer: object) -> None:
    sys.stdout.buffer.write(pickle.dumps(answer))
    sys.stdout.buffer.flush()


def watch(session: Session, holding: Holding, driver: int) -> None:
    """Hold until it is no longer wanted, the connection breaks, or the driver has ended."""
    with suppress(JobError):
        while _is_running(driver) and holding.wanted(session):
            time.sleep(holding.period)
        holding.leave(session)


def _is_running(process: int) -> bool:
    """Whether a process exists. A system reuses an id only after all others, which takes longer than a period."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()
