"""Lanes: processes that run trials in parallel, each with its own server and drivers.

A trial waits for half of its time: for a lock, a restart, the start of a process. Lanes share nothing.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from chaos.course import run
from chaos.errors import ChaosError
from chaos.judge.verdict import Verdict
from chaos.plan.trial import Trial
from chaos.stage import server
from chaos.stage.passwords import Search
from chaos.stage.stage import Stage
from chaos.stage.wire import Wire
from servermgr.errors import DatabaseException, WorkerError

_END = 60.0
"""Seconds that a lane may take to stop its server and its drivers."""


def run_all(trials: Sequence[Trial], count: int) -> Iterator[Verdict]:
    """Run trials in `count` lanes; yield verdicts in the order in which the trials end.

    Raises:
        ChaosError: a lane failed, or was killed.
    """
    lanes: dict[Connection, BaseProcess] = {}
    try:
        for _ in range(min(count, len(trials))):
            ours, process = _start()
            lanes[ours] = process
        yield from _verdicts(trials, list(lanes))
    finally:
        _end(lanes)


def _start() -> tuple[Connection, BaseProcess]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_lane, args=(theirs,))
    process.start()
    theirs.close()  # so that its end is noticed when the lane dies
    return ours, process


def _verdicts(trials: Sequence[Trial], lanes: Sequence[Connection]) -> Iterator[Verdict]:
    """Give each lane a trial, and another one after each verdict."""
    waiting = iter(trials)
    busy = set(lanes)
    for lane in lanes:
        _send(lane, next(waiting))
    while busy:
        ready = set(wait(busy))
        for lane in [lane for lane in busy if lane in ready]:
            yield _receive(lane)
            following = next(waiting, None)
            if following is None:
                busy.remove(lane)
            else:
                _send(lane, following)


def _send(lane: Connection, trial: Trial) -> None:
    with suppress(BrokenPipeError):  # it has died, which the next reading says
        lane.send(trial)


def _receive(lane: Connection) -> Verdict:
    try:
        message = lane.recv()
    except EOFError:
        raise ChaosError("a lane was killed") from None
    if not isinstance(message, Verdict):
        raise ChaosError(str(message))
    return message


def _end(lanes: dict[Connection, BaseProcess]) -> None:
    """Close the pipes, which ends idle lanes, and interrupt those in the middle of a trial."""
    for ours, process in lanes.items():
        ours.close()
        process.terminate()
    for process in lanes.values():
        process.join(_END)


def _lane(pipe: Connection) -> None:
    """Run the trials that the pipe sends, until it is closed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the server and the drivers are stopped
    with suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        try:
            with stage() as shared:
                while True:
                    pipe.send(run(pipe.recv(), shared))
        except (ChaosError, DatabaseException, WorkerError) as error:
            pipe.send(str(error))


@contextmanager
def stage() -> Iterator[Stage]:
    """Provide a server, a proxy, and drivers on demand. All are ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="pgjobs-chaos-") as folder, server.server() as postgres:
        wire = Wire((postgres.manager.host, postgres.manager.port))
        with wire.listening() as port:
            search = Search(postgres.password, Path(folder), postgres.manager.db_dir)
            shared = Stage(postgres, wire, port, Path(folder), search)
            try:
                yield shared
            finally:
                shared.close()
