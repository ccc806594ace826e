"""What a keeper holds for a write: a load's staging tables, until they are published."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.load import ledger, staging
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


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
    period: float = 0.5

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
