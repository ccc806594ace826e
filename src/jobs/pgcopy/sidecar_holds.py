"""What a sidecar holds for a write: a load's id and its staging tables, until they are published."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class HeldStaging:
    """A load's staging tables, until they are published or discarded.

    Attributes:
        types: The types of the columns if the load creates the target; empty for an existing target.
        logged: Whether the staged table is to become the target.
        load_id: The load id to hold, too; empty if it is not known yet.
        ledger: What records the load.
        by_partition: Whether the staged tables are to replace partitions of the target.
    """

    names: Staging
    target: TableName
    types: tuple[str, ...] = ()
    logged: bool = False
    load_id: str = ""
    ledger: Ledger = LUIGIS
    by_partition: bool = False
    period: float = 0.5

    def take(self, session: Session) -> bool:
        """Wait for another run of the load id, and create the tables. Return False if a load of this id has finished.

        Raises:
            UsageError: The load id is taken by another table, or some parts of the load are in the table.
        """
        if self.load_id:
            locks.wait(session, self.ledger.lock(session, self.load_id))
            if self.ledger.is_recorded(session, self.load_id, self.target):
                return False
            claims.check_none(session, self.ledger.located(session), self.load_id, self.target)
        if self.by_partition:
            staged.create(session, self.names, self.target)
        else:
            staging.create(session, self.names, self.target, self.types, logged=self.logged)
        return True

    def wanted(self, session: Session) -> bool:
        """Return whether the tables still exist."""
        return staging.exists(session, self.names)

    def leave(self, session: Session) -> None:
        """Drop the tables of a driver that died."""
        staging.discard(session, self.names)
