"""Waits for a run at the terminal: shows its logs as they grow, handles Ctrl-C, and reports how it ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pgjobs.aws import Clients
from pgjobs.console import Console
from pgjobs.errors import INTERRUPTED, STILL_GOING, DeployError
from pgjobs.runs.log_rotation import STREAMS
from pgjobs.runs.logs import DriverLogs, with_log_uri
from pgjobs.runs.poll import MOST_SETTLING, Clock, Follower, WaitedEnough
from pgjobs.runs.run import Run, cancel, get_run
from pgjobs.runs.status_line import Waiting, status_line
from pgjobs.runs.summary import command, ending, value, which_state

DEFAULT_CLOCK = Clock()


@dataclass(frozen=True)
class WaitOptions:
    """How to wait.

    Attributes:
        minutes: How long; 0 to wait until the run has ended.
        grace: Seconds that a cancelled run may take to end by itself; 0 for none.
        shown: The streams of the driver to print.
    """

    minutes: int = 0
    grace: int = 0
    shown: tuple[str, ...] = STREAMS


def wait(clients: Clients, run: Run, options: WaitOptions, console: Console, clock: Clock = DEFAULT_CLOCK) -> int:
    """Wait until a run has ended. Returns the exit status.

    Raises:
        AwsError: AWS refuses the call. The message says that the run is still active.
    """
    try:
        with status_line(console, clock) as waiting:
            return _wait(clients, run, options, waiting)
    except DeployError as error:
        raise type(error)(f"{error}\nThe run is still active. {_what_next(run)}") from None


def _wait(clients: Clients, run: Run, options: WaitOptions, waiting: Waiting) -> int:
    console, clock, line = waiting
    logs = DriverLogs(clients, replace(run, log_uri=with_log_uri(clients, run)), options.shown, console)
    if line is not None:
        logs.sift = line.sift

    def read() -> Run:
        now = get_run(clients, run.application_id, run.run_id)
        if line is not None:
            line.see(which_state(now), clock.now())
        return now

    follower = Follower(
        read,
        logs.show,
        console.tell,
        MOST_SETTLING if logs.expected else 0,
        clock,
    )
    deadline = clock.now() + options.minutes * 60 if options.minutes else float("inf")
    cancelled = False
    while True:
        try:
            ended = follower.until_ended(deadline)
        except WaitedEnough:
            console.tell(f"Waited for {options.minutes} min; the run is still active. {_what_next(run)}")
            console.answer_json(value(get_run(clients, run.application_id, run.run_id)))
            return STILL_GOING
        except KeyboardInterrupt:
            if cancelled:
                console.tell("\nNot waiting for its end.")
                return INTERRUPTED
            if not console.confirms("\nCancel the run?"):
                console.tell(f"\nThe run is still active. {_what_next(run)}")
                return INTERRUPTED
            console.tell(cancel(clients, run, options.grace))
            cancelled = True
        else:
            console.tell(ending(ended, logs.last.of("stdout"), logs.last.of("stderr")))
            console.answer_json(value(ended))
            return ended.status


def _what_next(run: Run) -> str:
    return f"To follow or to cancel it:\n  {command('logs --follow', run)}\n  {command('cancel', run)}"
