"""How data fits a table: which columns match, and which the server fills."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import StructType

from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import plural
from jobs.dbaccess.session import Session
from jobs.flows.load.dry_run.plan import PlannedColumn
from jobs.flows.load.job import LoadJob
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target


@dataclass(frozen=True)
class Fit:
    """How data fits a table.

    Attributes:
        table: The table in the catalog, or None if the load creates it.
        target: The columns that match, and how rows are moved.
    """

    table: Table | None
    target: Target

    @property
    def columns(self) -> tuple[PlannedColumn, ...]:
        """The columns of the data, and those of the table for them."""
        return tuple(
            PlannedColumn(match.source, match.spark_type.simpleString(), match.target.name, match.target.type_name)
            for match in self.target.loaded
        )

    @property
    def unfilled(self) -> tuple[str, ...]:
        """The columns of the table that the data does not have."""
        if self.table is None:
            names = [definition.name for definition in self.target.definitions]
        else:
            added = [definition.name for definition in self.target.metadata]
            names = [*(column.name for column in self.table.columns), *added]
        return tuple(name for name in names if name not in set(self.target.move.columns))

    def line(self) -> str:
        """Return a line about it."""
        rest = f"; the server fills {', '.join(self.unfilled)}" if self.unfilled else ""
        return f"{plural(len(self.columns), 'column')} of the data fit {self.target.name}{rest}"


def fit(session: Session, job: LoadJob, schema: StructType) -> Fit:
    """Return how data fits the table of a load.

    Raises:
        UsageError: It does not, or rows cannot be loaded into the table.
        LoadError: The table does not suit the mode.
    """
    table = find_table(session, job.table, job.create)
    target = settle_target(session, job.table, table, schema, job.moving, defined=job.defined)
    target.move.changes.check_null_values(job.null_values)
    return Fit(table, target)
