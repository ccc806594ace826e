"""Snapshot desk: one session holds the snapshots of a source, and other sessions ask it for one, by number.

They communicate through the database only: executors may not reach anything else, and a standby, or a role that may
only read, has no table to write to. A reader takes a shared advisory lock with the number of a snapshot, and keeps it
while reading. The desk looks for such locks, and shows the snapshot of the number in its application_name, one number
after the other.

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
"""Seconds between two looks for readers: while there are some, and while there are none."""

FIRST_READER = 60.0
"""The seconds for which a DataFrame's snapshot waits at least for its first task: executors may have to start."""

GRACE = 30.0
"""Seconds for which an action may pause between two of its stages, while another session waits to change the table."""

_PAUSE = 0.03
"""Seconds between two looks of a reader for its answer: less than the time for which the desk shows an answer."""

_ACTIONS = 1 << 30
"""The numbers of actions are lower than this; those of DataFrames are not."""

_IDLE, _YIELDED = "idle", "yielded"
"""In place of a snapshot: why it was released."""

_ANSWER = re.compile(r"pgjobs snapshot (\d+)=(\S+)")

# A snapshot that nobody reads for hours must not block a session that changes the table, and all readers behind it.
_WAITED_FOR = (
    "SELECT 1 FROM pg_locks held JOIN pg_locks waiting USING (database, relation) WHERE held.pid = pg_backend_pid() "
    "AND held.granted AND NOT waiting.granted AND waiting.mode = 'AccessExclusiveLock' LIMIT 1"
)


def new_number() -> int:
    """Choose a unique number for a DataFrame's snapshot."""
    return _ACTIONS + secrets.randbelow(_ACTIONS)


def number_of_action(execution: str) -> int:
    """Return the number of the snapshot of one of Spark's actions.

    Args:
        execution: Spark's number of the action.
    """
    return 1 + int(execution) % (_ACTIONS - 1)


def key_of(*parts: object) -> int:
    """Return the key of the desk that these values identify."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") >> 1


def is_open(session: Session, key: int) -> bool:
    """Return whether a desk of this key exists."""
    return bool(session.run(locks.DESK_PROCESS, key))


def ask(session: Session, key: int, number: int, idle: float, desk: str = "") -> Snapshot:
    """Ask for the snapshot of a number. It is held at least until the session ends.

    Args:
        session: The session that will read.
        key: The key of the desk.
        number: The number of a DataFrame or an action. A new number gets a new snapshot.
        idle: The desk's own, for the error message.
        desk: The session of the desk, as a `Snapshot` has its holder; empty for any. If that one has ended, another one
            of this key would give out a newer snapshot for the same number.

    Raises:
        SnapshotLost: The snapshot was released.
    """
    locks.read_at_desk(session, key, number)
    while True:
        desks = session.run(
            f"SELECT application_name, {snapshot.HOLDER} FROM pg_stat_activity WHERE pid = ({locks.DESK_PROCESS})",
            key,
        )
        if not desks or desk not in ("", desks[0][1]):
            raise SnapshotLost(
                "The snapshot is lost: the process or the connection of the driver's that held it has ended.",
                "Load the DataFrame again. The server's log shows who ended the connection.",
            )
        [[name, holder]] = desks
        answer = _ANSWER.match(name or "")
        if answer and int(answer[1]) == number:
            if answer[2] in (_IDLE, _YIELDED):
                raise _released(answer[2], idle)
            return Snapshot(answer[2], "", holder)
        time.sleep(_PAUSE)


def _released(why: str, idle: float) -> SnapshotLost:
    reason = (
        f"The snapshot idled out: nothing was read in it for {idle:g} s (snapshotIdle)."
        if why == _IDLE
        else "The snapshot was released: somebody waited to truncate or alter the table while nothing was read."
    )
    return SnapshotLost(
        reason,
        "Load the DataFrame again to see the table as it is now. A greater snapshotIdle holds snapshots for longer; "
        "with the option snapshot = action, each action takes a new one.",
    )


@dataclass
class Desk:
    """What a sidecar holds for readers: the snapshots of one source, in one transaction of one session.

    PostgreSQL releases snapshots only with their transaction. So the transaction ends when nobody has asked for a
    snapshot for a while. Then the desk holds only its own lock, until somebody asks for a new snapshot.

    Attributes:
        key: The key of the desk. One session of a database holds it.
        probe: A SELECT of what will be read, whose plan locks the tables.
        label: A name of the source, for the application_name.
        idle: The seconds for which snapshots are held after the last read.
        grace: The same while another session waits to change the table.
        now: The clock, in seconds.
    """

    key: int
    probe: str
    label: str
    idle: float
    grace: float = GRACE
    now: Callable[[], float] = time.monotonic
    period: float = field(init=False, default=BUSY)
    _opened: bool = field(init=False, default=False)
    _snapshots: dict[int, str] = field(init=False, default_factory=dict)
    _shown: int = field(init=False, default=-1)
    _holds: bool = field(init=False, default=False)
    _until: float = field(init=False, default=0.0)
    _free: float = field(init=False, default=0.0)
    _patience: float = field(init=False, default=0.0)

    def take(self, session: Session) -> bool:
        """Open the desk, unless another session has opened it. Return whether this one did."""
        self._opened = locks.take_desk(session, self.key)
        return self._opened

    def wanted(self, session: Session) -> bool:
        """Serve readers. Return True as long as the desk is open, which is until the driver ends."""
        if not self._opened:
            return False
        numbers = locks.read_numbers(session, self.key)
        if numbers:
            self._serve(session, next((number for number in numbers if number > self._shown), numbers[0]))
            self._until = self.now() + max(self.idle, self._patience)
            self._free = self.now() + max(self.grace, self._patience)
        elif self._shown >= 0:
            # Without an answer to find, even the shortest reader stays until the desk has seen it.
            self._show(session, "-")
            self._shown = -1
        elif self._holds and self.now() >= self._until:
            self._release(session, _IDLE)
        elif self._holds and self.now() >= self._free and session.run(_WAITED_FOR):
            self._release(session, _YIELDED)
        self.period = BUSY if numbers else QUIET
        return True

    def leave(self, session: Session) -> None:
        """Release all snapshots."""
        if self._holds:
            snapshot.release(session)

    def _serve(self, session: Session, number: int) -> None:
        if number not in self._snapshots:
            self._snapshots[number] = self._export(session).id
            self._patience = FIRST_READER if number >= _ACTIONS else 0.0
        elif self.period == QUIET:  # the planner has gone, and tasks have come
            self._patience = 0.0
        if number != self._shown:
            self._show(session, f"{number}={self._snapshots[number]}")
            self._shown = number

    def _export(self, session: Session) -> Snapshot:
        if self._holds:
            return snapshot.export_another(session, self.probe)
        exported = snapshot.export(session, self.probe)
        self._holds = True
        return exported

    def _release(self, session: Session, why: str) -> None:
        snapshot.release(session)
        self._holds = False
        self._snapshots = {
            number: why if held not in (_IDLE, _YIELDED) else held for number, held in self._snapshots.items()
        }

    def _show(self, session: Session, answer: str) -> None:
        session.run("SELECT set_config('application_name', %s, false)", f"pgjobs snapshot {answer} {self.label}"[:63])
