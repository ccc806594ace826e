"""A desk gives out moments of the database: one session holds their snapshots, and any other asks it for one.

They talk by the database alone, for executors may reach nothing else, and a standby or a role that may only read has no
table to write to. Who wants a moment takes a shared advisory lock with its number, and keeps it while reading; the desk
looks for such locks, and tells by its application_name which snapshot the number stands for. Numbers take turns.

https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADVISORY-LOCKS
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.dbaccess import locks
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.snapshot import Snapshot, SnapshotLost
from jobs.dbaccess.session import Session

BUSY, QUIET = 0.1, 0.5
"""Seconds between two looks of the desk: while it is asked, and else."""

FIRST_READER = 60.0
"""Seconds that a DataFrame's moment waits at least for its first task: executors may have to start before."""

GRACE = 30.0
"""Seconds for which an action may read nothing, between two of its stages, while somebody waits to change the table."""

_PAUSE = 0.03
"""Seconds between two looks of who asks: shorter than an answer stands."""

_ACTIONS = 1 << 30
"""Numbers of actions are below this one; those of DataFrames from here on."""

_IDLE, _YIELDED = "idle", "yielded"
"""In place of a snapshot: why it is held no more."""

_ANSWER = re.compile(r"pgjobs snapshot (\d+)=(\S+)")

# Who holds a table for hours without reading is not to keep out those who change it, and all readers behind them.
_WAITED_FOR = (
    "SELECT 1 FROM pg_locks held JOIN pg_locks waiting USING (database, relation) WHERE held.pid = pg_backend_pid() "
    "AND held.granted AND NOT waiting.granted AND waiting.mode = 'AccessExclusiveLock' LIMIT 1"
)


def new_number() -> int:
    """The number of a DataFrame's moment: no other has it."""
    return _ACTIONS + secrets.randbelow(_ACTIONS)


def number_of_action(execution: str) -> int:
    """The number of the moment of one of Spark's actions.

    Args:
        execution: Spark's number of it.
    """
    return 1 + int(execution) % (_ACTIONS - 1)


def key_of(*parts: object) -> int:
    """The key of the desk for whatever these tell apart."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1


def is_open(session: Session, key: int) -> bool:
    """Whether there is a desk."""
    return bool(session.run(locks.DESK_PROCESS, key))


def ask(session: Session, key: int, number: int, idle: float) -> Snapshot:
    """The moment that a number stands for. It is held at least until the session ends.

    Args:
        session: of whoever wants to read.
        key: of the desk.
        number: of a DataFrame or an action; new ones get a new moment.
        idle: the desk's, to be told.

    Raises:
        SnapshotLost: it is held no more.
    """
    locks.read_at_desk(session, key, number)
    while True:
        found = session.run(
            f"SELECT application_name, {snapshot.HOLDER} FROM pg_stat_activity WHERE pid = ({locks.DESK_PROCESS})",
            key,
        )
        if not found:
            raise SnapshotLost(
                "The snapshot is lost: the process or the connection of the driver's that held it has ended.",
                "Load the DataFrame anew. The server's log tells who ended the connection.",
            )
        [[name, holder]] = found
        answer = _ANSWER.match(name or "")
        if answer and int(answer[1]) == number:
            if answer[2] in (_IDLE, _YIELDED):
                raise _let_go(answer[2], idle)
            return Snapshot(answer[2], "", holder)
        time.sleep(_PAUSE)


def _let_go(why: str, idle: float) -> SnapshotLost:
    reason = (
        f"The snapshot idled out: nothing was read in it for {idle:g} s (snapshotIdle)."
        if why == _IDLE
        else "The snapshot was let go: somebody waited to truncate or alter the table while nothing was read."
    )
    return SnapshotLost(
        reason,
        "Load the DataFrame anew to see the table as it is now; a greater snapshotIdle holds snapshots for longer, and "
        "by the option snapshot = action each action takes a new one.",
    )


@dataclass
class Desk:
    """What a keeper holds: the snapshots of one source, in one transaction of one session.

    PostgreSQL lets go of snapshots with their transaction alone. So it ends when no moment has been asked for for a
    while: then the desk holds nothing but its own lock, until somebody asks for a new one.

    Attributes:
        key: one session of a database has it.
        probe: a SELECT of what will be read, by which it is locked.
        label: of the source, for pg_stat_activity.
        idle: seconds that snapshots are held after somebody has read.
        grace: the same where somebody waits to change the table.
        now: the clock.
    """

    key: int
    probe: str
    label: str
    idle: float
    grace: float = GRACE
    now: Callable[[], float] = time.monotonic
    period: float = field(init=False, default=BUSY)
    _opened: bool = field(init=False, default=False)
    _moments: dict[int, str] = field(init=False, default_factory=dict)
    _shown: int = field(init=False, default=-1)
    _holds: bool = field(init=False, default=False)
    _until: float = field(init=False, default=0.0)
    _free: float = field(init=False, default=0.0)
    _patience: float = field(init=False, default=0.0)

    def take(self, session: Session) -> bool:
        """Open the desk, unless another session has it open."""
        self._opened = locks.take_desk(session, self.key)
        return self._opened

    def wanted(self, session: Session) -> bool:
        """Serve who asks. The desk stays open as long as the driver lives."""
        if not self._opened:
            return False
        asked = locks.read_numbers(session, self.key)
        if asked:
            self._serve(session, next((number for number in asked if number > self._shown), asked[0]))
            self._until = self.now() + max(self.idle, self._patience)
            self._free = self.now() + max(self.grace, self._patience)
        elif (
            self._shown >= 0
        ):  # no answer stands while nobody asks: who asks next is to be seen, however short it reads
            self._show(session, "-")
            self._shown = -1
        elif self._holds and self.now() >= self._until:
            self._let_go(session, _IDLE)
        elif self._holds and self.now() >= self._free and session.run(_WAITED_FOR):
            self._let_go(session, _YIELDED)
        self.period = BUSY if asked else QUIET
        return True

    def leave(self, session: Session) -> None:
        """Let go of all."""
        if self._holds:
            snapshot.release(session)

    def _serve(self, session: Session, number: int) -> None:
        if number not in self._moments:
            self._moments[number] = self._export(session).id
            self._patience = FIRST_READER if number >= _ACTIONS else 0.0
        elif self.period == QUIET:  # tasks have come, after the planner has gone
            self._patience = 0.0
        if number != self._shown:
            self._show(session, f"{number}={self._moments[number]}")
            self._shown = number

    def _export(self, session: Session) -> Snapshot:
        if self._holds:
            return snapshot.export_another(session, self.probe)
        moment = snapshot.export(session, self.probe)
        self._holds = True
        return moment

    def _let_go(self, session: Session, why: str) -> None:
        snapshot.release(session)
        self._holds = False
        self._moments = {
            number: why if held not in (_IDLE, _YIELDED) else held for number, held in self._moments.items()
        }

    def _show(self, session: Session, answer: str) -> None:
        session.run("SELECT set_config('application_name', %s, false)", f"pgjobs snapshot {answer} {self.label}"[:63])
