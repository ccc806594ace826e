"""What an existing table will be when a load is published that adds columns to it, or widens types."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql.types import StructField, StructType

from jobs.copyformat.write_types import new_column
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.publications import publications_of
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions import trial
from jobs.dbaccess.load.definitions.alter import (
    check_alterable,
    check_children,
    restoring,
    size_of,
    without_blocked,
)
from jobs.dbaccess.load.definitions.alterations import (
    NO_ALTERATIONS,
    SCHEMA_MODE,
    STRICT,
    WIDEN,
    Added,
    Alterations,
)
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA, Definition
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.flows.load.defined import Defined, complete
from jobs.flows.load.schema.drift import Drift, drift
from jobs.flows.report import readable_size

logger = logging.getLogger(__name__)


def evolve(
    session: Session, table: Table, schema: StructType, move: Move, defined: Defined
) -> tuple[Table, Alterations]:
    """Return the table as it will be, and what publish changes for that. Nothing is changed here.

    Args:
        session: A session of the table's database, without an open transaction.
        table: The table in the catalog.
        schema: The columns of the data that are for the table.
        move: The mode and its keys.
        defined: What the user defines: what may be changed, and types of columns that are added.

    Raises:
        UsageError: The table cannot be changed for the data. The message says why.
    """
    if defined.schema_mode == STRICT:
        return table, NO_ALTERATIONS
    found = drift(schema, table)
    if defined.schema_mode != WIDEN:
        found = replace(found, widened=())
    if not found.unknown and not found.widened:
        return table, NO_ALTERATIONS
    check_alterable(session, table, adds=bool(found.unknown))
    widened, left = without_blocked(session, table.name, found.widened)
    if left:
        logger.warning("Some types of %s are not widened: %s.", table.name, left)
    if not found.unknown and not widened:
        return table, NO_ALTERATIONS
    added = _added(session, table, found, move, defined)
    alterations = Alterations(added, tuple(widened), restoring=restoring(session, table.name, widened))
    if alterations.rewrites:
        alterations = replace(alterations, size=size_of(session, table.name))
    _check_mode(table, alterations, move)
    if widened:
        trial.check_widening(session, table, alterations)
    _tell(session, table, alterations)
    becomes = {one.before.name: one.after for one in alterations.widened}
    columns = [becomes.get(column.name, column) for column in table.columns]
    return replace(table, columns=(*columns, *(one.column for one in alterations.added))), alterations


def _added(session: Session, table: Table, found: Drift, move: Move, defined: Defined) -> tuple[Added, ...]:
    """Return the columns that the table gets: with the user's types, else with ours.

    Raises:
        UsageError: One cannot be added.
    """
    if not found.unknown:
        return ()
    _check_names(table, found.unknown, move)
    definitions = _definitions(table, found.unknown, [*defined.types, *defined.metadata])
    return tuple(map(Added, definitions, _added_columns(session, table, definitions, COLUMN_TYPE)))


def _added_columns(session: Session, table: Table, missing: Sequence[Definition], flag: str) -> tuple[Column, ...]:
    """Return columns as they will be in an existing table, without locking it. The flag defines them.

    Raises:
        UsageError: They cannot be added.
    """
    columns = trial.foresee_addition(session, table, missing).columns[len(table.columns) :]
    required = [column.name for column in columns if column.required]
    if required:
        raise UsageError(
            f"{', '.join(required)} cannot be added to {table.name}: it is NOT NULL with no default.",
            f"Give {flag} a default.",
        )
    check_children(session, table.name, columns)
    return columns


def check_addable(session: Session, table: Table, missing: Sequence[Definition]) -> None:
    """Check that columns of the user's own can be added to a table, as far as that can be known without locking it.

    Raises:
        UsageError: They cannot.
    """
    if not tables.may_alter(session, table.name):
        names = ", ".join(definition.name for definition in missing)
        raise UsageError(
            f"{table.name} has no {names}, and only the owner of a table can add columns to it.",
            "Have the owner add the column, or load as the owner.",
        )
    _added_columns(session, table, missing, METADATA)


def _check_names(table: Table, unknown: Sequence[StructField], move: Move) -> None:
    """Check that the names of new columns cannot be confused, and that none is a key.

    Raises:
        UsageError: They can be confused; or one is a key, which no row of the table has.
    """
    names = [field.name for field in unknown]
    count = Counter(name.casefold() for name in names)
    alike = [name for name in names if count[name.casefold()] > 1]
    if alike:
        raise UsageError(
            f"{SCHEMA_MODE} adds no columns whose names differ in case alone: {', '.join(alike)}.",
            f"Rename or leave out one of them by --select, or add them to {table.name} yourself.",
        )
    keys = [name for name in names if name in move.keys]
    if keys:
        raise UsageError(
            f"{table.name} has no {', '.join(keys)}, which --keys names: no row of it would have the key of a new one.",
            "Add the column, with values, first.",
        )


def _definitions(table: Table, unknown: Sequence[StructField], defined: Sequence[Definition]) -> list[Definition]:
    """Return the definitions of columns of the data.

    Raises:
        UsageError: The type of one has no PostgreSQL type, and the user gives none.
    """
    by_user = {definition.name.casefold() for definition in defined}
    untyped = [
        f"{field.name} is a {field.dataType.simpleString()}"
        for field in unknown
        if new_column(field.name, field.dataType) is None and field.name.casefold() not in by_user
    ]
    if untyped:
        raise UsageError(
            f"{SCHEMA_MODE} cannot add columns to {table.name}: {', '.join(untyped)}.",
            f"Give the type by {COLUMN_TYPE} NAME=TYPE, or cast or leave out the column by --select.",
        )
    return list(complete(StructType(list(unknown)), defined)[: len(unknown)])


def _check_mode(table: Table, alterations: Alterations, move: Move) -> None:
    """Check that the mode can change columns.

    Raises:
        UsageError: It cannot. The message has the statements.
    """
    if move.replaces_partitions:
        statements = "; ".join(" ".join(statement.split()) for statement in alterations.statements(table.name))
        raise UsageError(
            f"The mode {move.mode} changes no columns of {table.name}, and the data needs that: {alterations.told()}.",
            f"Change the table first: {statements}",
        )


def _tell(session: Session, table: Table, alterations: Alterations) -> None:
    """Log what publish is going to change, and who should know."""
    logger.info("When the load is published, %s changes: %s.", table.name, alterations.told())
    if alterations.rewrites:
        logger.warning(
            "For that, the server writes all rows of %s and its indexes anew (%s). Nobody else can read or write it "
            "meanwhile.",
            table.name,
            readable_size(alterations.size),
        )
    publications = publications_of(session, table.name)
    if publications:
        logger.warning(
            "%s is published by %s: subscribers need the same columns and types, and replication does not change them.",
            table.name,
            ", ".join(publications),
        )
