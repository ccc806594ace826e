"""Limits of a load: how much WAL the server may write each second, and how far its standbys may be behind.

Each sees all looks at the server, and says why a further step of the load would exceed it.
"""

from __future__ import annotations

import logging
from collections import deque

from jobs.dbaccess.catalog.wal import Standby, Wal
from jobs.dbaccess.errors import LoadError
from jobs.flows.report import readable_size

BURST = 5.0
"""Seconds over which the rate is measured. What is allowed for them may be written at once after a pause."""

MARGIN = 0.5
"""The share of the allowed lag at which no step starts: those that run still write."""

WINDOW = 5.0
"""Seconds over which the speed of a standby is measured."""

SHORTEST = 0.5
"""Seconds for which a standby has to be kept busy, in all, before its speed is known."""

SHORTEST_SHOWN = 0.2
"""Seconds over which a standby shows how fast it replays at least."""

STUCK = 600.0
"""Seconds without any progress of a standby, or towards the allowed rate, after which the load fails."""

logger = logging.getLogger(__name__)


class WalRate:
    """How much WAL the server may write, in bytes per second.

    All of it counts over the last seconds. What is written while steps of the load run also counts until it is made up
    for, by what others leave: a step may be larger than what is allowed for these seconds. Loads with the same limit
    see the same WAL, and take turns: one that had to make up for what others write would wait for them to end.
    """

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._budget = allowed * BURST
        self._looks: deque[tuple[float, int]] = deque()  # seconds, and WAL written: those of the last seconds
        self._in_vain_since: float | None = None

    def see(self, now: float, wal: Wal, *, is_own: bool) -> None:
        """Take note of a look at the server.

        Args:
            now: In seconds.
            wal: What was seen.
            is_own: Whether steps of the load have run since the look before.
        """
        before, written = self._looks[-1] if self._looks else (now, wal.written)
        left = self._allowed * (now - before) - (wal.written - written)
        self._budget = min(self._budget + (left if is_own else max(left, 0)), self._allowed * BURST)
        self._looks.append((now, wal.written))
        while len(self._looks) > 1 and self._looks[1][0] <= now - BURST:
            self._looks.popleft()

    def refusal(self, to_come: float, step: float) -> str:  # noqa: ARG002 - as of the other limit
        """Return why no step may start, or nothing. A step may write more than is allowed: the next one waits longer.

        Args:
            to_come: What running steps will still write, in bytes.
            step: What the next one will write.

        Raises:
            LoadError: No step runs, and others have written as much as is allowed for so long that waiting is in vain.
        """
        (begun, before), (now, written) = self._looks[0], self._looks[-1]
        is_exceeded = written - before + to_come > self._allowed * max(now - begun, BURST)
        if not is_exceeded or to_come:
            self._in_vain_since = None
        elif self._in_vain_since is None:
            self._in_vain_since = now
        elif now - self._in_vain_since > STUCK:
            raise LoadError(
                f"Others have written at least {readable_size(self._allowed)} of WAL per second for {STUCK:.0f} s, "
                "while the load waited.",
                "Give --max-wal-rate a rate above what the server writes without the load, or load at another time.",
            )
        if is_exceeded or self._budget <= to_come:
            return f"the server may write {readable_size(self._allowed)} of WAL per second, and has written more"
        return ""


class ReplicaLag:
    """How far standbys may be behind, in seconds."""

    def __init__(self, allowed: float) -> None:
        self._allowed = allowed
        self._looks: deque[tuple[float, int]] = deque()  # seconds, and WAL written, also while no standby was there
        self._trails: dict[int, Trail] = {}

    def see(self, now: float, wal: Wal, *, is_own: bool = True) -> None:  # noqa: ARG002 - as of the other limit
        """Take note of a look at the server."""
        if not wal.standbys and (self._trails or not self._looks):
            logger.warning("No standby is connected. --max-replica-lag has no effect until one is.")
        while len(self._looks) > 1 and self._looks[0][0] < now - STUCK:
            self._looks.popleft()
        self._looks.append((now, wal.written))
        present = {standby.pid for standby in wal.standbys}
        self._trails = {pid: trail for pid, trail in self._trails.items() if pid in present}
        for standby in wal.standbys:
            self._trails.setdefault(standby.pid, Trail()).add(now, wal.written, standby)

    def refusal(self, to_come: float, step: float) -> str:
        """Return why no step may start, or nothing. What standbys have replayed by now never forbids one.

        Args:
            to_come: What running steps will still write, in bytes.
            step: What the next one will write.

        Raises:
            LoadError: A standby makes no progress.
        """
        return next(filter(None, (self._behind(trail, to_come, step) for trail in self._trails.values())), "")

    def _behind(self, trail: Trail, to_come: float, step: float) -> str:
        standby, lag = trail.standby, self.lag(trail.standby)
        if lag == 0 and to_come == 0:
            return ""
        if trail.stuck_for() > STUCK:
            raise LoadError(
                f"The standby {standby.name} has replayed nothing for {STUCK:.0f} s.",
                "Look whether its replay is paused or in conflict with a query, or load without --max-replica-lag.",
            )
        if lag > self._allowed * MARGIN:
            return f"the standby {standby.name} is {lag:.1f} s behind"
        # What it has shown may be a pause, or no more than the few bytes that looks write. A single step shows more.
        if self._keeps_up(standby) and (to_come == 0 or not trail.is_speed_known):
            return ""
        to_replay, speed = self._looks[-1][1] - standby.replayed + to_come + step, trail.speed
        if to_replay > speed * self._allowed * (1 - MARGIN):
            return f"the standby {standby.name} would have {readable_size(to_replay)} to replay"
        return ""

    def _keeps_up(self, standby: Standby) -> bool:
        """Return whether a standby has replayed all that was written at the look before, even if it was not there."""
        return len(self._looks) == 1 or standby.replayed >= self._looks[-2][1]

    def lag(self, standby: Standby) -> float:
        """Return the age of the oldest WAL that a standby has not replayed, in seconds.

        The server's own measure lacks a standby that has stopped or was away, and this one what was before the first
        look.
        """
        now, written = self._looks[-1]
        if standby.replayed >= written:
            return 0.0
        replayed = (when for when, position in reversed(self._looks) if position <= standby.replayed)
        return max(now - next(replayed, self._looks[0][0]), standby.lag)


class Trail:
    """Where the WAL and one standby were at each look.

    Attributes:
        speed: How fast the standby replays, in bytes per second: at least so fast.
        is_speed_known: Whether this has been measured while the standby always had something to replay.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[float, int, Standby]] = deque()  # seconds, WAL written, and the standby
        self._in_vain_since: float | None = None
        self.speed = 0.0
        self.is_speed_known = False

    def add(self, now: float, written: int, standby: Standby) -> None:
        """Take note of a look."""
        looks = self._looks
        if not looks or standby.replayed > self.standby.replayed or standby.replayed >= written:
            self._in_vain_since = None
        if self._in_vain_since is None and standby.replayed < written:
            self._in_vain_since = now
        looks.append((now, written, standby))
        while len(looks) > 1 and looks[1][0] <= now - WINDOW:
            looks.popleft()
        measured = self._measured()
        self.speed = max(self.speed, self._shown()) if measured is None else measured
        self.is_speed_known |= measured is not None

    @property
    def standby(self) -> Standby:
        """The standby at the last look."""
        return self._looks[-1][2]

    def stuck_for(self) -> float:
        """Return for how many seconds the standby has had something to replay, and made no progress."""
        return 0.0 if self._in_vain_since is None else self._looks[-1][0] - self._in_vain_since

    def _measured(self) -> float | None:
        """Return the speed while the standby was busy: it never replayed all that was there at the look before."""
        recent = [look for look in self._looks if look[0] >= self._looks[-1][0] - WINDOW]
        busy = [
            (now - before, standby.replayed - earlier.replayed)
            for (before, written, earlier), (now, _, standby) in zip(recent, recent[1:])
            if standby.replayed < written
        ]
        seconds = sum(passed for passed, _ in busy)
        return sum(replayed for _, replayed in busy) / seconds if seconds >= SHORTEST else None

    def _shown(self) -> float:
        """Return the speed since the standby last had nothing to replay. It may have had nothing in between, too."""
        now, _, standby = self._looks[-1]
        idle = (look for look in reversed(list(self._looks)[:-1]) if look[2].replayed >= look[1])
        since, _, before = next(idle, self._looks[0])
        return (standby.replayed - before.replayed) / (now - since) if now - since >= SHORTEST_SHOWN else 0.0
