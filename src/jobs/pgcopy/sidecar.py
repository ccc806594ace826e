"""Sidecar: a process beside the driver that keeps a session open while executors work.

Spark plans in Python processes that end after planning, and their connections end with them. A sidecar continues until
what it holds is no longer wanted, its connection breaks, or the driver has ended. It reads its assignment, which may
contain secrets, from standard input, and writes the result of taking hold to standard output.
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

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.session import Session


class Holding(Protocol):
    """What a sidecar holds. It is pickled before `take` is called."""

    @property
    def period(self) -> float:
        """The seconds between two calls of `wanted`."""

    def take(self, session: Session) -> Any:  # noqa: ANN401 - whatever the holding returns
        """Take hold. Return what the process that started the sidecar needs to know."""

    def wanted(self, session: Session) -> bool:
        """Return whether to continue."""

    def leave(self, session: Session) -> None:
        """Release it."""


@dataclass(frozen=True)
class Assignment:
    """What a sidecar is to do.

    Attributes:
        task: What its session is for.
        driver: The id of a process that lives as long as the driver.
    """

    connector: Connector
    task: str
    holding: Holding
    driver: int


def hold_in_sidecar(connector: Connector, task: str, holding: Holding, driver: int | None = None) -> Any:  # noqa: ANN401 - whatever `take` returns
    """Start a sidecar, and return what `holding.take` returned there.

    Args:
        connector: Opens its session.
        task: What the session is for, such as "staging".
        holding: What to take, for how long, and how to release it.
        driver: The id of the process whose end also ends the sidecar. The default is the parent of this process, which
            for Spark's planners is the driver's JVM or its daemon.

    Raises:
        JobError: The sidecar could not take hold.
    """
    assignment = Assignment(connector, task, holding, driver or os.getppid())
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
        raise JobError(f"The process {connector.label(task)} ended: {reason}")
    answer = pickle.loads(sidecar.stdout)  # noqa: S301 - our own child's
    if isinstance(answer, JobError):
        raise answer
    return answer


def main() -> None:
    """Take hold, write the answer, and continue in a child process: the caller waits for this one to end."""
    assignment: Assignment = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    try:
        session = assignment.connector.open(assignment.task)
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
    """Hold until that is no longer wanted, the connection breaks, or the driver has ended."""
    with suppress(JobError):
        while _is_running(driver) and holding.wanted(session):
            time.sleep(holding.period)
        holding.leave(session)


def _is_running(process: int) -> bool:
    """Return whether a process exists. Systems reuse an id only after all others, which takes longer than a period."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


if __name__ == "__main__":
    main()
