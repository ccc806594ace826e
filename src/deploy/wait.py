"""Waits for a run at the terminal: its logs as they grow, Ctrl-C, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.aws import Clients, aws_errors
from deploy.console import Console, LastLines
from deploy.errors import INTERRUPTED, STILL_GOING, DeployError, PassingError
from deploy.follow import MOST_SETTLING, Clock, Follower, WaitedEnough
from deploy.logs import DRIVER, WorkerLogs, elsewhere, with_log_uri
from deploy.runs import Run, read_run, takes_grace
from deploy.summary import command, ending
from deploy.tail import STREAMS

DEFAULT_CLOCK = Clock()
SHOWN = {"both": STREAMS, "stdout": ("stdout",), "none": ()}
"""--show -> the streams that are passed on."""


@dataclass(frozen=True)
class Patience:
    """How to wait.

    Attributes:
        minutes: how long; 0 for until the run ends.
        grace: seconds that a run gets to end by itself when it is cancelled; 0 for none.
        shown: the streams of the driver that are passed on.
    """

    minutes: int = 0
    grace: int = 0
    shown: tuple[str, ...] = STREAMS


def get_run(clients: Clients, application_id: str, run_id: str, attempt: int | None = None) -> Run:
    """Ask for a run.

    Raises:
        AwsError: AWS refuses, or does not answer.
    """
    wanted: dict[str, Any] = {"applicationId": application_id, "jobRunId": run_id}
    with aws_errors():
        return read_run(clients.runs.get_job_run(**wanted, **({"attempt": attempt} if attempt else {})))


def cancel(clients: Clients, run: Run, grace: int) -> str:
    """Cancel a run; what to tell of it.

    Args:
        clients: AWS.
        run: which one.
        grace: seconds in which it may end by itself. Releases before 7.9 have none, and are not told of it.

    Raises:
        AwsError: AWS refuses, or does not answer.
    """
    given = {"shutdownGracePeriodInSeconds": grace} if grace and takes_grace(run.release) else {}
    with aws_errors():
        clients.runs.cancel_job_run(applicationId=run.application_id, jobRunId=run.run_id, **given)
    return f"cancelling {run.run_id}{f', which has {grace} s to end' if given else ''}"


def wait(clients: Clients, run: Run, patience: Patience, console: Console, clock: Clock = DEFAULT_CLOCK) -> int:
    """Wait until a run ends; the exit status.

    Raises:
        AwsError: AWS refuses to answer; the message says that the run goes on.
    """
    try:
        return _wait(clients, run, patience, console, clock)
    except DeployError as error:
        raise type(error)(f"{error}\nThe run goes on. {_what_next(run)}") from None


def _wait(clients: Clients, run: Run, patience: Patience, console: Console, clock: Clock) -> int:
    logs = DriverLogs(clients, replace(run, log_uri=with_log_uri(clients, run)), patience.shown, console)
    follower = Follower(
        lambda: get_run(clients, run.application_id, run.run_id),
        logs.show,
        console.tell,
        MOST_SETTLING if logs.expected else 0,
        clock,
    )
    deadline = clock.now() + patience.minutes * 60 if patience.minutes else float("inf")
    cancelled = False
    while True:
        try:
            ended = follower.until_ended(deadline)
        except WaitedEnough:
            console.tell(f"Waited for {patience.minutes} min; the run goes on. {_what_next(run)}")
            return STILL_GOING
        except KeyboardInterrupt:
            if cancelled:
                console.tell("\nNot waiting for its end.")
                return INTERRUPTED
            if not console.confirms("\nCancel the run?"):
                console.tell(f"\nThe run goes on. {_what_next(run)}")
                return INTERRUPTED
            console.tell(cancel(clients, run, patience.grace))
            cancelled = True
        else:
            console.tell(ending(ended, logs.last.of("stdout"), logs.last.of("stderr")))
            return ended.status


def _what_next(run: Run) -> str:
    return f"To follow or to cancel it:\n  {command('logs --follow', run)}\n  {command('cancel', run)}"


class DriverLogs:
    """Shows a run's driver, attempt after attempt. Logs are a help: what S3 refuses is told once, and no failure.

    Args:
        clients: AWS.
        run: whose; its log_uri is where they are.
        shown: the streams to pass on. All are read, for a failure's cause.
        console: where they go.

    Attributes:
        expected: whether there is anything to read.
        last: the last lines of what was read.
    """

    def __init__(self, clients: Clients, run: Run, shown: tuple[str, ...], console: Console) -> None:
        self.expected = bool(run.log_uri)
        self.last = LastLines()
        self._clients, self._run, self._shown, self._console = clients, run, shown, console
        self._attempt = 0
        self._logs: WorkerLogs | None = None
        if not self.expected:
            console.tell(f"The run writes no logs to S3 (--logs). They may be here: {elsewhere(run)}")

    def show(self, run: Run, last: bool) -> bool:
        """Show what is new; whether there was anything."""
        found = False
        try:
            found = self.expected and self._turn_to(run.attempt, last)
            return self._pass_on(self._logs.read(last) if self.expected and self._logs else {}) or found
        except PassingError:
            return found
        except DeployError as error:
            self._console.tell(f"The logs cannot be read. {error}")
            self.expected = False
            return found

    def _turn_to(self, attempt: int, last: bool) -> bool:
        """Turn to a later attempt once it has logs, for the end of the one before is late; whether anything came."""
        found = False
        while self._attempt < attempt:
            following = WorkerLogs(self._clients.objects, self._run, self._attempt + 1, DRIVER)
            fresh = following.read()
            if self._logs is not None:
                if not last and not any(fresh.values()):
                    break
                found |= self._pass_on(self._logs.read(last=True))
            self._attempt, self._logs = self._attempt + 1, following
            found |= self._pass_on(fresh)
        return found

    def _pass_on(self, fresh: Mapping[str, str]) -> bool:
        """Pass on new lines; whether there are any."""
        for stream, text in fresh.items():
            self.last.add(stream, text)
            if text and stream in self._shown:
                self._console.show(stream, text)
        return any(fresh.values())
