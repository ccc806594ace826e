"""Waits for a run to end: polls at growing intervals, reports changes, and shows the logs as they grow.

The clock, the run's state and its logs are parameters. A poll that AWS cannot answer now is repeated.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pgjobs.errors import AwsError, PassingError
from pgjobs.runs.run import ENDED, GOING_ON, Run
from pgjobs.runs.summary import which_attempt

FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 2.0, 20.0, 1.5
"""Seconds between polls: the state changes quickly at first, and S3 has new logs every 15 s."""
SETTLING_PAUSE, MOST_SETTLING = 5.0, 4
"""Seconds between the last reads of the logs, and how many: S3 receives the rest of the logs after the run's end."""


@dataclass(frozen=True)
class Clock:
    """Time and randomness, as parameters."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


class WaitedEnough(Exception):
    """The deadline for waiting has passed, and the run is still active."""


def pauses(chance: Callable[[], float]) -> Iterator[float]:
    """Yield the seconds to wait: growing, and randomly shortened, so that several processes do not poll in step."""
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.75 + chance() / 4)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def changes(before: Run | None, now: Run) -> list[str]:
    """Return what to report about a run, given what was reported before."""
    lines = []
    if before is not None and now.attempt != before.attempt:
        lines.append(which_attempt(now))
    if (before is None or now.state != before.state) and not now.ended:
        lines.append(": ".join(filter(None, (now.state, meaning(now.state) or now.details))))
    return lines


def meaning(state: str) -> str:
    """Return an explanation of a state for somebody who waits; empty if its name explains it."""
    if state in GOING_ON or state in ENDED:
        return GOING_ON.get(state, "")
    return "a state unknown to this version of pgjobs; still waiting"


class Follower:
    """Follows one run. It remembers what it has reported and shown, so that an interrupted wait can continue.

    Args:
        read: Reads the run.
        show: Shows what is new in the logs of the run's attempt, and returns whether there was anything. The flag marks
            the last read of an attempt.
        tell: Prints one line.
        settling: How often to look for the last of the logs after the end; 0 if there are no logs.
        clock: Time and randomness.
    """

    def __init__(
        self,
        read: Callable[[], Run],
        show: Callable[[Run, bool], bool],
        tell: Callable[[str], None],
        settling: int,
        clock: Clock,
    ) -> None:
        self._read, self._show, self._tell, self._settling, self._clock = read, show, tell, settling, clock
        self._run: Run | None = None
        self._silent = False

    def until_ended(self, deadline: float) -> Run:
        """Wait until the run has ended. Returns the run.

        Args:
            deadline: The clock's time at which to give up.

        Raises:
            WaitedEnough: The deadline has passed.
            AwsError: AWS refuses the call.
        """
        waits = pauses(self._clock.chance)
        while True:
            before, run = self._run, self._ask()
            if run is not None:
                if before is not None and run.state != before.state:
                    waits = pauses(self._clock.chance)
                if run.ended:
                    return self._settled(run)
                self._show(run, False)
            rest = deadline - self._clock.now()
            if rest <= 0:
                raise WaitedEnough
            self._clock.sleep(min(next(waits), rest))

    def _ask(self) -> Run | None:
        """Read the run and report its changes. Returns None if AWS cannot answer now, which is reported once."""
        try:
            run = self._read()
        except PassingError as error:
            if not self._silent:
                self._tell(f"{error} Waiting on.")
            self._silent = True
            return None
        self._silent = False
        for line in changes(self._run, run):
            self._tell(line)
        self._run = run
        return run

    def _settled(self, run: Run) -> Run:
        """Read the logs until no more arrive, and the cost of the run, which AWS also determines late."""
        is_new = self._show(run, False)
        for _ in range(self._settling):
            self._clock.sleep(SETTLING_PAUSE)
            more = self._show(run, False)
            if is_new and not more:
                break
            is_new = is_new or more
        self._show(run, True)
        try:
            return self._ask() or run
        except AwsError:  # the outcome is already known
            return run
