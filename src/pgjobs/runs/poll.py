"""Waits for a run to end: asks at growing intervals, tells what changes, shows the logs as they grow.

Time, the run's state and its logs are parameters; what AWS cannot answer now is asked again.
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
"""Seconds between two questions; the state changes quickly at first, and S3 has new logs every 15 s."""
SETTLING_PAUSE, MOST_SETTLING = 5.0, 4
"""Seconds between the last readings of the logs, and how many: S3 gets the rest of them after the run's end."""


@dataclass(frozen=True)
class Clock:
    """Time and chance, as parameters."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random.random


class WaitedEnough(Exception):
    """The deadline of waiting has passed, and the run goes on."""


def pauses(chance: Callable[[], float]) -> Iterator[float]:
    """Seconds to wait: growing, and shortened by chance, lest all that wait ask in step."""
    pause = FIRST_PAUSE
    while True:
        yield pause * (0.75 + chance() / 4)
        pause = min(pause * GROWTH, LONGEST_PAUSE)


def changes(before: Run | None, now: Run) -> list[str]:
    """What to tell of a run, having told of it before."""
    told = []
    if before is not None and now.attempt != before.attempt:
        told.append(which_attempt(now))
    if (before is None or now.state != before.state) and not now.ended:
        told.append(": ".join(filter(None, (now.state, meaning(now.state) or now.details))))
    return told


def meaning(state: str) -> str:
    """What a state says to somebody who waits; empty where its name says it."""
    if state in GOING_ON or state in ENDED:
        return GOING_ON.get(state, "")
    return "a state that this version of pgjobs does not know; waiting on"


class Follower:
    """Follows one run. What it has told and shown is kept, so that an interrupted wait can go on.

    Args:
        read: asks for the run.
        show: shows what is new in the logs of the run's attempt; whether there was anything. The flag is for the
            last reading of an attempt.
        tell: tells one line.
        settling: how often to look for the last of the logs after the end; 0 where there are no logs.
        clock: time and chance.
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
        """Wait; the run as it ended.

        Args:
            deadline: the clock's time at which to give up.

        Raises:
            WaitedEnough: the deadline has passed.
            AwsError: AWS refuses to answer.
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
        """The run now, and its changes told; None where AWS cannot answer now, which is told once."""
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
        """Read the logs until nothing comes any more, and what the run cost, which is counted late, too."""
        found = self._show(run, False)
        for _ in range(self._settling):
            self._clock.sleep(SETTLING_PAUSE)
            more = self._show(run, False)
            if found and not more:
                break
            found = found or more
        self._show(run, True)
        try:
            return self._ask() or run
        except AwsError:  # how it ended is known
            return run
