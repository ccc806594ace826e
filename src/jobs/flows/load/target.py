"""Where a load's rows go: a table that exists or is to be created, and which column takes which."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_existing, match_new, match_staged_only, without
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import IDENTITY_ALWAYS, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import identity, verify
from jobs.dbaccess.load.definitions import trial
from jobs.dbaccess.load.definitions.alterations import NO_ALTERATIONS, Alterations
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA, Definition, missing_from
from jobs.dbaccess.load.definitions.indexes import INDEX
from jobs.dbaccess.load.definitions.shape import NO_SHAPE, PARTITION_BY, Shape
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move import combinations, conditions, history, merge
from jobs.dbaccess.load.move.changes import OWN_COLUMNS, with_own
from jobs.dbaccess.load.move.fill import check_target
from jobs.dbaccess.load.move.modes import CHANGING, DIFF, Move
from jobs.dbaccess.load.move.order import order_of
from jobs.dbaccess.load.partitions.missing.rules import AUTO
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.defined import NONE_DEFINED, Defined, complete, shape_of
from jobs.flows.load.schema.evolve import check_addable, evolve

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
    if table is None and move.replaces_partitions and defined.partition_by is None:
        raise UsageError(
            f"There is no table {name}, and no partition to replace.",
            f"Create it, partitioned, first, or give {PARTITION_BY}.",
        )
    if table is None:
        new = _new_target(session, tables.name_for_new_table(session, name), schema, move, defined)
        return _indexed(session, _shaped(session, new, schema, defined), defined)
    move, extras = _staged_only(schema, [column.name for column in table.columns], move)
    changed, alterations = evolve(session, table, without(schema, extras), move, defined)
    matches = _numbered(match_existing(without(schema, extras), _filled(changed, move)), move)
    move = replace(move, altered=alterations.types)
    move, matches = _settled(move, matches, match_staged_only(schema, extras))
    check_target(session, table.name, move)
    conditions.check_used(session, move, table.name)
    if move.changes.soft_delete not in {definition.name for definition in defined.metadata}:
        merge.marks_by_time(session, move, table.name)
    added = {name.casefold() for name in alterations.names_added}
    unused = [definition for definition in defined.types if definition.name.casefold() not in added]
    for flag, given in ((COLUMN_TYPE, unused), (INDEX, defined.indexes), (PARTITION_BY, defined.partition_by)):
        if given:
            logger.info("%s exists, so %s has no effect.", table.name, flag)
    missing = missing_from(changed, defined.metadata)
    if missing and move.replaces_partitions:
        names = ", ".join(column.name for column in missing)
        raise UsageError(
            f"{table.name} has no {names}, and the mode {move.mode} adds no columns.",
            f"Add them first, or leave {METADATA} out.",
        )
    if missing:
        check_addable(session, table, missing)
    return Target(table.name, matches, move, is_new=False, metadata=missing, alterations=alterations)


def _shaped(session: Session, target: Target, schema: StructType, defined: Defined) -> Target:
    """Return a new table with its comments, NOT NULLs and partitioning, which the server has accepted.

    Raises:
        UsageError: It cannot be partitioned so.
    """
    shape = shape_of(schema, target.loaded, defined)
    if shape.partition_by is None:
        return replace(target, shape=shape)
    definitions = target.made_of
    keys = target.move.primary_key
    # Not only the primary key: a history also has a unique index on --keys alone.
    shape.check([definition.name for definition in definitions], target.move.keys, target.move.new_partitions)
    rule = target.move.new_partitions or AUTO
    trial.check_partitioned(session, target.name, definitions, keys, shape, rule=rule)
    return replace(target, shape=shape, definitions=definitions, has_types_only=False)


def _indexed(session: Session, target: Target, defined: Defined) -> Target:
    """Return a new table with the indexes that the user defines, which the server has accepted.

    Raises:
        UsageError: It does not accept one.
    """
    if not defined.indexes:
        return target
    trial.foresee_indexes(session, target.name, target.made_of, defined.indexes)
    return replace(target, indexes=defined.indexes)


def _filled(table: Table, move: Move) -> Table:
    """Return the table, whose columns that the load fills itself need not be in the data, and identities may be."""
    ours = {move.changes.soft_delete, *(move.history.columns if move.keeps_history else ())}
    columns = (
        replace(
            column,
            required=column.required and column.name not in ours,
            generated=column.generated and not (move.overriding and column.identity),
        )
        for column in table.columns
    )
    return replace(table, columns=tuple(columns))


def _numbered(matches: tuple[Match, ...], move: Move) -> tuple[Match, ...]:
    """Return the matches, without those of identity columns if the server numbers the rows all the same.

    Raises:
        UsageError: An upsert would update one, or there is no other column.
    """
    given = [match.target for match in matches if match.target.identity]
    if move.overriding == identity.USER and given:
        names = ", ".join(column.name for column in given)
        if len(given) == len(matches):
            raise UsageError(
                f"The data has no column but {names}, which the server numbers.", "There is nothing to load."
            )
        logger.info("Not loaded, as the server numbers the rows: %s.", names)
        return tuple(match for match in matches if not match.target.identity)
    always = [column.name for column in given if column.identity == IDENTITY_ALWAYS]
    if move.mode == "upsert" or move.strategy == DIFF:
        columns = tuple(match.target.name for match in matches)
        identity.check_updates(move.overriding, always, replace(move, columns=columns).values)
    return matches


def _staged_only(schema: StructType, of_table: Collection[str], move: Move) -> tuple[Move, dict[str, str]]:
    """Return the columns of the data that are only staged. If the data tells deletes as our own files do, so is told.

    Args:
        schema: The schema of the data.
        of_table: The columns of the table.
        move: The mode, and what the user wants.
    """
    if move.mode not in CHANGING:
        return move, {}
    move = _timed(move, schema.names)
    as_of = move.history.as_of_column
    changes = with_own(move.changes, schema.names, of_table, ordered=bool(move.order) or as_of is not None)
    if changes != move.changes:
        logger.info("The data says by its column _op which rows are deleted.")
        move = replace(move, changes=changes, order=move.order or order_of(None, changes.order_by))
    extras = changes.staged_only(schema.names, of_table, as_of or "")
    if extras:
        logger.info("Staged only, as the table does not have them: %s.", ", ".join(extras))
    if as_of is not None:  # by its name in staging, which may differ in case
        known = [column for column in of_table if column.casefold() == as_of.casefold()]
        as_of = as_of if as_of in known else (known or [extras.get(as_of, as_of)])[0]
        move = replace(move, history=replace(move.history, as_of_column=as_of))
    return move, extras


def _timed(move: Move, names: Collection[str]) -> Move:
    """Return the move, with the column of the data that --as-of names, if it does."""
    as_of = move.history.as_of
    named = [name for name in names if as_of is not None and name.casefold() == as_of.casefold()]
    column = as_of if as_of in named else next(iter(named), None)
    return replace(move, history=replace(move.history, as_of_column=column))


def _settled(move: Move, matches: Sequence[Match], extras: Sequence[Match] = ()) -> tuple[Move, tuple[Match, ...]]:
    columns = tuple(match.target.name for match in matches)
    staged_only = tuple((match.target.name, match.target.definition) for match in extras)
    move = replace(move, columns=columns, staged_only=staged_only)
    combinations.check_columns(move)
    return move, (*matches, *extras)


def _new_target(session: Session, name: TableName, schema: StructType, move: Move, defined: Defined) -> Target:
    """Return the table that the load creates.

    Raises:
        UsageError: The data does not fit it; or which columns it is to have cannot be known.
    """
    own = {column for column in OWN_COLUMNS if column in schema.names}
    move, extras = _staged_only(schema, [column for column in schema.names if column not in own], move)
    doubtful = sorted(move.changes.staged_only(set(schema.names) - own - set(move.keys), ()))
    if move.changes.delete_when is not None and doubtful:
        raise UsageError(
            f"There is no table {name}, and whether {', '.join(doubtful)} is to be a column of it cannot be known: "
            "--delete-when may be all that uses it.",
            "Create the table first.",
        )
    if move.keeps_history:
        own_columns = tuple(Definition(*column) for column in move.history.definitions)
        defined = replace(defined, types=(*defined.types, *own_columns))
    if defined:
        target = _defined_target(session, name, schema, move, defined, extras=extras)
    else:
        matches = match_new(without(schema, extras))
        types = tuple(Definition(match.target.name, match.target.definition) for match in matches)
        move, matches = _settled(move, matches, match_staged_only(schema, extras))
        target = Target(name, matches, move, is_new=True, definitions=types if extras else ())
    columns = [f"NULL::{match.target.definition} AS {quote_name(match.target.name)}" for match in target.matches]
    row = f"(SELECT {', '.join(columns)})"
    conditions.check(session, target.move, row, row)
    if move.keeps_history:
        history.check_time(session, target.move, row)
    mark = target.move.changes.soft_delete
    if mark is not None and mark not in {definition.name for definition in target.definitions}:
        raise UsageError(
            f"The new table {name} would have no column {mark!r}, which --soft-delete needs.",
            f"Have the load make it: --metadata-columns '{mark}=timestamptz'.",
        )
    return target


def _defined_target(
    session: Session, name: TableName, schema: StructType, move: Move, defined: Defined, *, extras: dict[str, str]
) -> Target:
    """Return the new table that the definitions make. The values are encoded by the types that it will have.

    Raises:
        UsageError: The data does not fit it, or a definition is wrong.
    """
    of_table = without(schema, extras)
    columns = complete(of_table, [*defined.types, *defined.metadata])
    keys = move.primary_key if set(move.keys) <= set(schema.names) else ()  # others are refused below
    new = trial.foresee(session, name, columns, keys)
    matches = _numbered(match_existing(of_table, _filled(new.table, move)), move)
    move, matches = _settled(move, matches, match_staged_only(schema, extras))
    has_types_only = new.has_types_only and len(columns) == len(matches)
    return Target(
        name, matches, move, is_new=True, definitions=columns, has_types_only=has_types_only, metadata=defined.metadata
    )
