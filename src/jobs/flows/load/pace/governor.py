"""Keeps a load within what the server's standbys and its WAL can bear: it decides when the next step may start.

A step is a part that is copied, or a slice of the rows that are published. A step that has started cannot be slowed
down. So what it will write is foreseen from the steps before it, and counts as if it were written. All of this is
decided by values: the governor is given a way to look at the server, and a clock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from jobs.dbaccess.catalog import wal
from jobs.dbaccess.catalog.wal import Wal
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import ConnectionFailed, UsageError
from jobs.dbaccess.session import Session
from jobs.flows.load.pace.wal_limits import ReplicaLag, WalRate

PERIOD = 0.2
"""Seconds between two looks at the server."""

SHORTEST_LAG = 1.0
"""Seconds. A standby's report is as old as the last look, and the way to it takes time."""

LOG_PERIOD = 10.0
"""Seconds between two lines in the log that say what a step waits for."""

LONGEST_LOOK = 60.0
"""Seconds for a look at the server. Its statements take milliseconds, unless the disk stalls that is to store WAL."""

logger = logging.getLogger(__name__)


@dataclass
class Rules:
    """What refuses steps. All phases of a load share it: what one has written counts in the next one.

    Attributes:
        wrote: Whether a step has ended since the last look.
    """

    each: tuple[ReplicaLag | WalRate, ...]
    wrote: bool = False


@dataclass(frozen=True)
class Limits:
    """What a load may cause.

    Attributes:
        replica_lag: How far standbys may be behind, in seconds; None for no limit.
        wal_rate: How much WAL the server may write, including that of others, in bytes per second; None for no limit.
    """

    replica_lag: float | None = None
    wal_rate: float | None = None

    def __bool__(self) -> bool:
        return self.replica_lag is not None or self.wal_rate is not None

    def check(self) -> None:
        """Check the values.

        Raises:
            UsageError: One is not positive.
        """
        for flag, value in (("--max-replica-lag", self.replica_lag), ("--max-wal-rate", self.wal_rate)):
            if value is not None and not value > 0:  # nan is not
                raise UsageError(f"{flag} is {value:g}.", "Give a value above 0, or leave it out.")
        if self.replica_lag is not None and self.replica_lag < SHORTEST_LAG:
            raise UsageError(
                f"--max-replica-lag is {self.replica_lag:g} s.",
                f"Give at least {SHORTEST_LAG:g} s: standbys do not report more precisely.",
            )

    def check_visible(self, session: Session) -> None:
        """Check that what is limited can be seen.

        Raises:
            UsageError: The user may not see how far standbys are behind.
        """
        if self.replica_lag is not None:
            wal.check_standbys_visible(session)

    def rules(self) -> Rules:
        """Return what refuses steps."""
        of_standbys = () if self.replica_lag is None else (ReplicaLag(self.replica_lag),)
        of_server = () if self.wal_rate is None else (WalRate(self.wal_rate),)
        return Rules((*of_standbys, *of_server))


NO_LIMITS = Limits()


class Governor:
    """Decides whether a step of one phase of a load may start. Several threads may use it."""

    def __init__(
        self,
        rules: Rules,
        look: Callable[[], Wal],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rules = rules
        self._look = look
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._begun: int | None = None  # the position of the WAL at the first look
        self._ended = 0
        self._logged = clock()

    def may_start(self, running: int) -> bool:
        """Look at the server, and return whether another step may start beside those that run.

        Raises:
            LoadError: A standby makes no progress, or others write as much WAL as is allowed.
        """
        with self._lock:
            seen, now = self._look(), self._clock()
            if self._begun is None:
                self._begun = seen.written
            for rule in self._rules.each:
                rule.see(now, seen, is_own=running > 0 or self._rules.wrote)
            self._rules.wrote = False
            if running > self._ended:
                return False  # the first steps show how much one writes, and what the standbys can bear
            step = (seen.written - self._begun) / max(self._ended, 1)
            to_come = running * step / 2  # on average, running steps have done half of their work
            reason = next(filter(None, (rule.refusal(to_come, step) for rule in self._rules.each)), "")
            if reason and now - self._logged >= LOG_PERIOD:
                logger.info("Waiting: %s.", reason)
                self._logged = now
            return not reason

    def ended(self) -> None:
        """Take note that a step has ended."""
        with self._lock:
            self._ended += 1
            self._rules.wrote = True

    def wait(self) -> None:
        """Wait until a step may start while no other one runs.

        Raises:
            LoadError: A standby makes no progress, or others write as much WAL as is allowed.
        """
        while not self.may_start(0):
            self._sleep(PERIOD)


@contextmanager
def governors(limits: Limits, connector: Connector) -> Iterator[Callable[[], Governor | None]]:
    """Yield a function that returns a governor for the next phase of a load, or None if nothing is limited.

    They share a connection of their own, because the driver's is in use meanwhile, and what is seen over it.
    """
    if not limits:
        yield lambda: None
        return
    with ExitStack() as sessions:
        session = sessions.enter_context(connector.open("governor"))

        def look() -> Wal:
            with session.answers_within(LONGEST_LOOK):
                if limits.replica_lag is not None:
                    wal.request_replies(session)
                return wal.read(session)

        def look_despite_breaks() -> Wal:
            nonlocal session
            try:
                return look()
            except ConnectionFailed as error:
                logger.warning("Asking the server anew how much WAL it has written. %s", error.message)
                session = sessions.enter_context(connector.open("governor"))
                return look()

        rules = limits.rules()
        yield lambda: Governor(rules, look_despite_breaks)
