"""What a load's rows become: rows of a table, of which each column takes one of the data's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.copyformat.match_columns import Match
from jobs.dbaccess.load import verify
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.definitions.alterations import NO_ALTERATIONS, Alterations
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import NO_SHAPE, Shape
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Target:
    """The table under its full name, the columns that match, and how rows are moved there.

    Attributes:
        is_new: Whether the load creates the table.
        row: How rows are written for their hashes, or None if the load is not verified.
        definitions: Definitions of the columns, of a new table whose user defines some.
        has_types_only: Whether the columns of a new table have types, and nothing else that staging would lack.
        metadata: Columns that the table lacked when it was looked up, and is to have.
        alterations: Columns and types that the table is to get for the data.
        indexes: Indexes of a new table.
        shape: What else a new table is to be.
    """

    name: TableName
    matches: tuple[Match, ...]
    move: Move
    is_new: bool
    row: RowText | None = None
    definitions: tuple[Definition, ...] = ()
    has_types_only: bool = True
    metadata: tuple[Definition, ...] = ()
    indexes: tuple[str, ...] = ()
    shape: Shape = NO_SHAPE
    alterations: Alterations = NO_ALTERATIONS

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of staging, in the order of a COPY line: the table's, then those that are only staged."""
        return tuple(match.target.name for match in self.matches)

    @property
    def loaded(self) -> tuple[Match, ...]:
        """The columns that the table has."""
        return self.matches[: len(self.move.columns)]

    @property
    def is_staging(self) -> bool:
        """Whether the staged table is to become the target that the load creates."""
        return self.move.fills_new_table and self.has_types_only

    @property
    def made_of(self) -> tuple[Definition, ...]:
        """The definitions of a new table's columns: those that the user gives, or else types for the data."""
        of_data = (Definition(match.target.name, match.target.definition) for match in self.loaded)
        return self.definitions or tuple(of_data)

    @property
    def new_types(self) -> tuple[str, ...]:
        """Their types, as SQL writes them, if the load creates the table; empty for an existing table."""
        return tuple(match.target.type_name for match in self.matches) if self.is_new else ()

    @property
    def encoded_for(self) -> tuple[tuple[str, str], ...]:
        """The columns of an existing table, each with the type for which rows are encoded."""
        others = {name for name, _ in self.not_yet}
        types = ((match.target.name, match.target.type_name) for match in self.matches)
        return () if self.is_new else tuple((name, type_) for name, type_ in types if name not in others)

    @property
    def not_yet(self) -> tuple[tuple[str, str], ...]:
        """The columns of staging that the table does not have, or not yet with these types."""
        return (*self.move.staged_only, *self.move.altered)

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
            definitions=self.definitions,
            metadata=self.metadata,
            indexes=self.indexes,
            shape=self.shape,
            alterations=self.alterations,
        )
