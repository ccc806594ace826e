"""An existing table that a load fills: how the data fits it, and what is added to it for the data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import match_staged_only, without
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions.alterations import Alterations
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA, Definition, missing_from
from jobs.dbaccess.load.definitions.indexes import INDEX
from jobs.dbaccess.load.definitions.shape import PARTITION_BY
from jobs.dbaccess.load.move import conditions
from jobs.dbaccess.load.move.by_keys import merge
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.session import Session
from jobs.flows.load.defined import Defined
from jobs.flows.load.schema.evolve import check_addable, evolve
from jobs.flows.load.targets.matching import matched, settled, staged_only
from jobs.flows.load.targets.target import Target

logger = logging.getLogger(__name__)


def existing_target(session: Session, table: Table, schema: StructType, move: Move, defined: Defined) -> Target:
    """Match the data with the table, and check that the mode suits it.

    Raises:
        UsageError: The data does not fit, or a definition is wrong.
        LoadError: The table does not suit the mode.
    """
    move, extras = staged_only(schema, [column.name for column in table.columns], move)
    changed, alterations = evolve(session, table, without(schema, extras), move, defined)
    matches = matched(without(schema, extras), changed, move)
    move = replace(move, altered=alterations.types)
    move, matches = settled(move, matches, match_staged_only(schema, extras))
    check_target(session, table.name, move)
    conditions.check_used(session, move, table.name)
    if move.changes.soft_delete not in {definition.name for definition in defined.metadata}:
        merge.marks_by_time(session, move, table.name)
    _tell_unused(table, alterations, defined)
    missing = missing_from(changed, defined.metadata)
    if missing:
        _check_missing(session, table, missing, move)
    return Target(table.name, matches, move, is_new=False, metadata=missing, alterations=alterations)


def _tell_unused(table: Table, alterations: Alterations, defined: Defined) -> None:
    """Log which definitions have no effect."""
    added = {name.casefold() for name in alterations.names_added}
    unused = [definition for definition in defined.types if definition.name.casefold() not in added]
    for flag, given in ((COLUMN_TYPE, unused), (INDEX, defined.indexes), (PARTITION_BY, defined.partition_by)):
        if given:
            logger.info("%s exists, so %s has no effect.", table.name, flag)


def _check_missing(session: Session, table: Table, missing: Sequence[Definition], move: Move) -> None:
    """Check that the columns that the user defines beside the data's can be added to the table.

    Raises:
        UsageError: They cannot.
    """
    if move.replaces_partitions:
        names = ", ".join(column.name for column in missing)
        raise UsageError(
            f"{table.name} has no {names}, and the mode {move.mode} adds no columns.",
            f"Add them first, or leave {METADATA} out.",
        )
    check_addable(session, table, missing)
