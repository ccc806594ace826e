"""Where a load's rows go: a table that exists or is to be created, and which column takes which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_existing, match_new
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import verify
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.load.publish import PublishPlan, check_target
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Target:
    """The table under its full name, the columns that match, and how rows are moved there.

    Attributes:
        is_new: Whether the load creates the table.
        row: How rows are written for their hashes, or None if the load is not verified.
    """

    name: TableName
    matches: tuple[Match, ...]
    move: Move
    is_new: bool
    row: RowText | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that the data has, in the order of a COPY line."""
        return tuple(match.target.name for match in self.matches)

    @property
    def new_types(self) -> tuple[str, ...]:
        """Their types, as SQL writes them, if the load creates the table; empty for an existing table."""
        return tuple(match.target.type_name for match in self.matches) if self.is_new else ()

    def plan(self, load_id: str, staging: Staging, receipts: Sequence[Receipt], ledger: Ledger = LUIGIS) -> PublishPlan:
        """Return what to publish when all parts are staged.

        Args:
            load_id: The id of the load.
            staging: The staging tables.
            receipts: The receipts of the attempts that Spark accepted.
            ledger: What records the load.
        """
        verification = Verification(self.row, verify.expected_sum(receipts)) if self.row else None
        return PublishPlan(
            load_id=load_id,
            target=self.name,
            staging=staging,
            receipts=tuple(receipts),
            move=self.move,
            is_new=self.is_new,
            verification=verification,
            ledger=ledger,
        )


def find_table(session: Session, name: TableName, create: bool) -> Table | None:
    """Return the table, or None if the load is to create it. Whether it can is checked before the input is read.

    Raises:
        UsageError: The table does not exist and must not be created, or cannot store rows, or its schema is missing.
    """
    table = tables.find_table(session, name)
    if table is not None and table.kind not in _TAKES_ROWS:
        what = _OTHER_KINDS.get(table.kind, "no table")
        raise UsageError(
            f"{table.name} is {what}, and cannot store rows.", "Name a table, or a view that can be updated."
        )
    if table is None and not create:
        raise UsageError(f"There is no table {name}.", "Create it first, or give --create.")
    if table is None:
        schema = tables.name_for_new_table(session, name).schema
        if schema is None or not tables.schema_exists(session, schema):
            raise UsageError(f"There is no schema for the table {name}.", "Create the schema first.")
    return table


_TAKES_ROWS = ("r", "p", "v", "f")
"""The relkinds in pg_class of a table, partitioned table, view and foreign table."""

_OTHER_KINDS = {
    "m": "a materialized view",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a composite type",
    "t": "the TOAST of a table",
}


def settle_target(session: Session, name: TableName, table: Table | None, schema: StructType, move: Move) -> Target:
    """Match the data with the table, existing or new, and check that the mode suits it.

    Args:
        session: A session of the table's database.
        name: The table's name.
        table: The table in the catalog, or None if the load creates it.
        schema: The schema of the data.
        move: The mode, its keys and order. Its columns are settled here.

    Raises:
        UsageError: The data does not fit.
        LoadError: The table does not suit the mode.
    """
    matches = match_existing(schema, table) if table else match_new(schema)
    move = replace(move, columns=tuple(match.target.name for match in matches))
    move.check_columns()
    if table is None:
        return Target(tables.name_for_new_table(session, name), matches, move, is_new=True)
    check_target(session, table.name, move)
    return Target(table.name, matches, move, is_new=False)
