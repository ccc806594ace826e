"""The table that a load creates for its data: its columns, their types, and what else the user defines of it."""

from __future__ import annotations

from dataclasses import replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import match_new, match_staged_only, without
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions import trial
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import PARTITION_BY
from jobs.dbaccess.load.move import conditions
from jobs.dbaccess.load.move.by_keys import history
from jobs.dbaccess.load.move.changes import OWN_COLUMNS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions.missing.rules import AUTO
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.defined import Defined, complete, shape_of
from jobs.flows.load.targets.matching import matched, settled, staged_only
from jobs.flows.load.targets.target import Target


def new_target(session: Session, name: TableName, schema: StructType, move: Move, defined: Defined) -> Target:
    """Return the table that the load creates. The server has accepted what the user defines of it.

    Raises:
        UsageError: The data does not fit it, a definition is wrong, or which columns it is to have cannot be known.
    """
    if move.replaces_partitions and defined.partition_by is None:
        raise UsageError(
            f"There is no table {name}, and no partition to replace.",
            f"Create it, partitioned, first, or give {PARTITION_BY}.",
        )
    target = _with_columns(session, name, schema, move, defined)
    return _indexed(session, _shaped(session, target, schema, defined), defined)


def _with_columns(session: Session, name: TableName, schema: StructType, move: Move, defined: Defined) -> Target:
    """Return the new table with its columns.

    Raises:
        UsageError: The data does not fit it; or which columns it is to have cannot be known.
    """
    own = {column for column in OWN_COLUMNS if column in schema.names}
    move, extras = staged_only(schema, [column for column in schema.names if column not in own], move)
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
        move, matches = settled(move, matches, match_staged_only(schema, extras))
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
    matches = matched(of_table, new.table, move)
    move, matches = settled(move, matches, match_staged_only(schema, extras))
    has_types_only = new.has_types_only and len(columns) == len(matches)
    return Target(
        name, matches, move, is_new=True, definitions=columns, has_types_only=has_types_only, metadata=defined.metadata
    )


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
