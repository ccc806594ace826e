"""What a keeper holds: a snapshot while it is read, or a load's staging tables until they are published."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from jobs.dbaccess import ledger, snapshot, staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.snapshot import Snapshot
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.staging import Staging

FIRST_READER = 60.0
"""Seconds that a snapshot waits at least for somebody to read in it: executors may have to start first."""


@dataclass
class HeldSnapshot:
    """A snapshot; until nobody has read in it for a while.

    Spark does not tell when a DataFrame has been read for the last time: a lost executor's parts are read anew.

    Attributes:
        probe: a SELECT of what will be read, by which it is locked.
        idle: seconds without readers, after the first.
        now: the clock.
    """

    probe: str
    idle: float
    now: Callable[[], float] = time.monotonic
    _moment: Snapshot = field(init=False)
    _until: float = field(init=False, default=0.0)

    def take(self, session: Session) -> Snapshot:
        """Export a snapshot."""
        self._moment = snapshot.export(session, self.probe)
        self._until = self.now() + max(self.idle, FIRST_READER)
        return self._moment

    def wanted(self, session: Session) -> bool:
        """Whether somebody reads in it, or did lately."""
        if snapshot.readers(session, self._moment):
            self._until = self.now() + self.idle
        return self.now() < self._until

    def leave(self, session: Session) -> None:
        """End the transaction that holds it."""
        snapshot.release(session)


@dataclass(frozen=True)
class HeldStaging:
    """A load's staging tables; until they were published or discarded.

    Attributes:
        types: of the columns of a target that is to be made; none for one that is there.
        logged: whether the rows' table is to become the target.
        load_id: held along with the tables; empty for none.
    """

    names: Staging
    target: TableName
    types: tuple[str, ...]
    logged: bool
    load_id: str = ""

    def take(self, session: Session) -> str | None:
        """Make the tables. The table that a finished load of this id went into, if there is one: then nothing is made.

        Waits for another run of this id.
        """
        if self.load_id:
            ledger.await_load(session, self.load_id)
            recorded = ledger.recorded_target(session, self.load_id)
            if recorded is not None:
                return recorded
        staging.hold(session, self.names)
        if self.types:
            staging.create_for_new(session, self.names, self.types, self.logged)
        else:
            staging.create_beside(session, self.names, self.target)
        return None

    def wanted(self, session: Session) -> bool:
        """Whether the tables are there."""
        return staging.exists(session, self.names)

    def leave(self, session: Session) -> None:
        """Drop the tables of a driver that died."""
        staging.discard(session, self.names)
