"""Trials of definitions, before anything is copied: the server judges them in transactions that are rolled back."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import DatabaseError, UsageError
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.definitions.alterations import SCHEMA_MODE, Alterations
from jobs.dbaccess.load.definitions.columns import Definition
from jobs.dbaccess.load.definitions.shape import PARTITION_BY, Shape
from jobs.dbaccess.load.partitions.missing.find import check_fits
from jobs.dbaccess.load.partitions.missing.key import key_of
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import INSUFFICIENT_PRIVILEGE


@dataclass(frozen=True)
class NewTable:
    """A table that a load is to create.

    Attributes:
        table: What it will be in the catalog.
        has_types_only: Whether its columns have types and nothing else: no default, constraint, collation and so on.
    """

    table: Table
    has_types_only: bool


def foresee(session: Session, name: TableName, definitions: Sequence[Definition], keys: Sequence[str] = ()) -> NewTable:
    """Return the table that these definitions make. It is created in its schema, by another name, and rolled back.

    Args:
        session: A session without an open transaction.
        name: The table's full name.
        definitions: Of all of its columns.
        keys: The primary key, if the definitions have none.

    Raises:
        UsageError: The server does not accept a definition, or one defines something else than its column.
        DatabaseError: The user may not create tables there, or the connection broke.
    """
    trial = _trial(name)
    with _rolled_back(session, trial, name):
        columns.create(session, trial, definitions)
        has_types_only = _has_types_only(session, trial)
        columns.add_key(session, trial, keys)
        return NewTable(_made(session, trial, name, (), definitions), has_types_only)


def foresee_addition(session: Session, table: Table, definitions: Sequence[Definition]) -> Table:
    """Return an existing table as it will be when columns are added. They are added to a copy that is rolled back.

    Raises:
        UsageError: As `foresee`.
        DatabaseError: Likewise.
    """
    trial = _trial(table.name)
    with _rolled_back(session, trial, table.name):
        session.run(f"CREATE TABLE {trial.quoted} (LIKE {table.name.quoted})")
        columns.add_missing(session, trial, definitions)
        return _made(session, trial, table.name, [column.name for column in table.columns], definitions)


def check_widening(session: Session, table: Table, alterations: Alterations) -> None:
    """Check that types can be widened: an index or a constraint may call what there is for the narrower type alone.

    Raises:
        UsageError: They cannot.
    """
    trial = _trial(table.name)
    hint = (
        f"Cast the data to the columns' types by --select, or leave {SCHEMA_MODE} out, or widen the columns yourself."
    )
    with _rolled_back(session, trial, table.name, f"these types ({alterations.told()})", hint):
        session.run(f"CREATE TABLE {trial.quoted} (LIKE {table.name.quoted} INCLUDING ALL)")
        # What restores settings names the table itself.
        columns.run_definitions(session, list(replace(alterations, restoring=()).statements(trial)))


def foresee_indexes(session: Session, name: TableName, definitions: Sequence[Definition], texts: Sequence[str]) -> None:
    """Check that the server accepts the indexes of a new table.

    Raises:
        UsageError: It does not.
    """
    trial = _trial(name)
    with _rolled_back(session, trial, name, f"the indexes that {indexes.INDEX} gives", f"Check {indexes.INDEX}."):
        columns.create(session, trial, definitions)
        indexes.create(session, trial, texts)


def check_partitioned(
    session: Session,
    name: TableName,
    definitions: Sequence[Definition],
    keys: Sequence[str],
    shape: Shape,
    *,
    rule: str,
) -> None:
    """Check that the server partitions a new table so, and that its partitions can follow a rule, or AUTO.

    Raises:
        UsageError: It does not.
        LoadError: They cannot.
    """
    trial = _trial(name)
    with _rolled_back(session, trial, name, "these partitions", f"Check {PARTITION_BY}."):
        columns.create(session, trial, definitions, keys, shape.clause)
        if shape.partition_by is not None and not shape.partition_by.bounds:
            check_fits(session, name, key_of(session, trial), rule)


def _trial(name: TableName) -> TableName:
    return name.sibling(f"pgjobs_trial_{uuid.uuid4().hex}")


class _Undone(Exception):
    """Ends a transaction that was only a trial."""


@contextmanager
def _rolled_back(
    session: Session,
    trial: TableName,
    name: TableName,
    what: str = "the columns that are defined",
    hint: str = f"Check {columns.COLUMN_TYPE} and {columns.METADATA}.",
) -> Iterator[None]:
    """Roll the block's transaction back.

    Raises:
        UsageError: The server does not accept a definition.
    """
    try:
        with suppress(_Undone), session.transaction():
            yield
            raise _Undone
    except DatabaseError as error:
        if error.sqlstate[:2] not in _DEFINITIONS_FAULT or error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise
        message = error.message.replace(trial.name, name.name)
        raise UsageError(f"{name} cannot have {what}: {message}", hint) from None


_DEFINITIONS_FAULT = frozenset({"0A", "22", "42"})
"""Classes of SQLSTATE: not supported, a default that its type rejects, syntax and names."""


def _made(
    session: Session, trial: TableName, name: TableName, present: Sequence[str], definitions: Sequence[Definition]
) -> Table:
    """Return the table that was made, under the name that it is to have.

    Raises:
        UsageError: It has other columns than those that were defined.
    """
    table = tables.find_table(session, trial)
    names = [*present, *(definition.name for definition in definitions)]
    if table is None or [column.name for column in table.columns] != names:
        raise UsageError(
            f"The definitions of the columns {', '.join(names)} define other columns, too.",
            f"Check {columns.COLUMN_TYPE}.",
        )
    return replace(table, name=name)


def _has_types_only(session: Session, name: TableName) -> bool:
    rows = session.run(
        "SELECT 1 FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND (a.attnotnull OR a.atthasdef OR a.attidentity <> '' "
        "OR a.attcollation <> t.typcollation OR a.attstorage <> t.typstorage OR a.attndims > 1 "
        "OR coalesce(to_jsonb(a) ->> 'attcompression', '') <> '') "
        "UNION ALL SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass(%s)",
        name.quoted,
        name.quoted,
    )
    return not rows
