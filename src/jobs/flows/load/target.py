"""Where a load's rows go: a table that exists or is to be created, and which column takes which."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_existing, match_new
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import verify
from jobs.dbaccess.load.definitions import trial
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA, Definition, missing_from
from jobs.dbaccess.load.definitions.indexes import INDEX
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move.fill import check_target
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import NONE_DEFINED, Defined, complete

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Target:
    """The table under its full name, the columns that match, and how rows are moved there.

    Attributes:
        is_new: Whether the load creates the table.
        row: How rows are written for their hashes, or None if the load is not verified.
        definitions: Definitions of the columns, of a new table whose user defines some.
        has_types_only: Whether the columns of a new table have types, and nothing else that staging would lack.
        metadata: Columns that the table lacked when it was looked up, and is to have.
        indexes: Indexes of a new table.
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

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that the data has, in the order of a COPY line."""
        return tuple(match.target.name for match in self.matches)

    @property
    def is_staging(self) -> bool:
        """Whether the staged table is to become the target that the load creates."""
        return self.move.fills_new_table and self.has_types_only

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
            definitions=self.definitions,
            metadata=self.metadata,
            indexes=self.indexes,
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


def settle_target(
    session: Session,
    name: TableName,
    table: Table | None,
    schema: StructType,
    move: Move,
    *,
    defined: Defined = NONE_DEFINED,
) -> Target:
    """Match the data with the table, existing or new, and check that the mode suits it.

    Args:
        session: A session of the table's database.
        name: The table's name.
        table: The table in the catalog, or None if the load creates it.
        schema: The schema of the data.
        move: The mode, its keys and order. Its columns are settled here.
        defined: The columns that the user defines.

    Raises:
        UsageError: The data does not fit, or a definition is wrong.
        LoadError: The table does not suit the mode.
    """
    if table is None and move.replaces_partitions:
        raise UsageError(f"There is no table {name}, and no partition to replace.", "Create it, partitioned, first.")
    if table is None and defined:
        new = _defined_target(session, tables.name_for_new_table(session, name), schema, move, defined)
        return _indexed(session, new, defined)
    matches = match_existing(schema, table) if table else match_new(schema)
    move = _settled(move, matches)
    if table is None:
        full_name = tables.name_for_new_table(session, name)
        return _indexed(session, Target(full_name, matches, move, is_new=True), defined)
    check_target(session, table.name, move)
    if defined.types or defined.indexes:
        flag = COLUMN_TYPE if defined.types else INDEX
        logger.info("%s exists, so %s has no effect.", table.name, flag)
    missing = missing_from(table, defined.metadata)
    if missing and move.replaces_partitions:
        names = ", ".join(column.name for column in missing)
        raise UsageError(
            f"{table.name} has no {names}, and the mode {move.mode} adds no columns.",
            f"Add them first, or leave {METADATA} out.",
        )
    if missing:
        _check_addable(session, table, missing)
    return Target(table.name, matches, move, is_new=False, metadata=missing)


def _indexed(session: Session, target: Target, defined: Defined) -> Target:
    """Return a new table with the indexes that the user defines, which the server has accepted.

    Raises:
        UsageError: It does not accept one.
    """
    if not defined.indexes:
        return target
    columns = target.definitions or [Definition(name, type_) for name, type_ in zip(target.columns, target.new_types)]
    trial.foresee_indexes(session, target.name, columns, defined.indexes)
    return replace(target, indexes=defined.indexes)


def _settled(move: Move, matches: Sequence[Match]) -> Move:
    move = replace(move, columns=tuple(match.target.name for match in matches))
    move.check_columns()
    return move


def _defined_target(session: Session, name: TableName, schema: StructType, move: Move, defined: Defined) -> Target:
    """Return the new table that the definitions make. The values are encoded by the types that it will have.

    Raises:
        UsageError: The data does not fit it, or a definition is wrong.
    """
    columns = complete(schema, [*defined.types, *defined.metadata])
    keys = move.keys if set(move.keys) <= set(schema.names) else ()  # others are refused below
    new = trial.foresee(session, name, columns, keys)
    matches = match_existing(schema, new.table)
    move = _settled(move, matches)
    has_types_only = new.has_types_only and len(columns) == len(matches)
    return Target(
        name, matches, move, is_new=True, definitions=columns, has_types_only=has_types_only, metadata=defined.metadata
    )


def _check_addable(session: Session, table: Table, missing: Sequence[Definition]) -> None:
    """Check that columns can be added to an existing table, as far as that can be known without locking it.

    Raises:
        UsageError: They cannot.
    """
    names = [definition.name for definition in missing]
    if not tables.may_alter(session, table.name):
        raise UsageError(
            f"{table.name} has no {', '.join(names)}, and only the owner of a table can add columns to it.",
            "Have the owner add the column, or load as the owner.",
        )
    new = trial.foresee_addition(session, table, missing)
    required = [column.name for column in new.columns if column.required and column.name in names]
    if required:
        raise UsageError(
            f"{', '.join(required)} cannot be added to {table.name}: it is NOT NULL with no default.",
            f"Give {METADATA} a default.",
        )
