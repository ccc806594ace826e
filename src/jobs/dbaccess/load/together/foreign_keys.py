"""The foreign keys of the tables of a release, and whether these can be published together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.together.arrange import Arrangement, ForeignKey, arrange
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_TREES = (
    "WITH RECURSIVE given (place, oid, kind) AS ("
    "SELECT place, c.oid, c.relkind::text FROM unnest(%s::text[]) WITH ORDINALITY AS named (name, place) "
    "LEFT JOIN pg_class c ON c.oid = to_regclass(name)), "
    "tree (place, oid) AS (SELECT place, oid FROM given UNION "
    "SELECT tree.place, inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid) "
)
"""The tables by their numbers from 1, and each with its partitions and child tables."""

_KEYS = (
    f"{_TREES} SELECT DISTINCT n.nspname, k.conname, k.condeferrable AND NOT EXISTS (SELECT FROM pg_constraint AS same "
    "WHERE same.connamespace = k.connamespace AND same.conname = k.conname AND NOT same.condeferrable), "
    "referencing.place, referenced.place "
    "FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace "
    "JOIN tree AS referenced ON referenced.oid = k.confrelid "
    "LEFT JOIN tree AS referencing ON referencing.oid = k.conrelid WHERE k.contype = 'f' ORDER BY 1, 2, 4, 5"
)
"""The keys that reference the tables, and whether SET CONSTRAINTS can defer them. It takes a name, which constraints of
several tables may have: it fails if one of them is not deferrable."""


def find_arrangement(
    session: Session,
    tables: Sequence[TableName],
    replaced: Collection[TableName],
    checked_at_once: Collection[TableName] = (),
    creatable: Collection[TableName] = (),
) -> Arrangement:
    """Return how the tables of a release are written. New ones come last: existing tables cannot refer to them.

    Args:
        session: A session of their database.
        tables: Their full names.
        replaced: Those of which all rows are replaced.
        checked_at_once: Those whose own keys are not to be deferred: rows that violate one are put aside.
        creatable: Those that the release creates if they are missing.

    Raises:
        UsageError: They cannot be published together: one is missing or is no table, or is part of another one, or keys
            that are not deferrable form a circle.
    """
    _check_different(tables)
    new = _check_kinds(session, tables, creatable)
    names = [table.quoted for table in tables]
    keys = []
    for schema, name, is_deferrable, place, referenced in session.run(_KEYS, names):
        referencing = None if place is None else tables[place - 1]
        can_wait = is_deferrable and referencing not in checked_at_once
        keys.append(ForeignKey(TableName(name, schema), referencing, tables[referenced - 1], can_wait))
    arranged = arrange([table for table in tables if table not in new], replaced, keys)
    return replace(arranged, tables=(*arranged.tables, *new))


def _check_different(tables: Sequence[TableName]) -> None:
    for table, same in groupby(sorted(tables, key=str)):
        if len(list(same)) > 1:
            raise UsageError(f"{table} is in the release more than once.", "Name each table once.")


def _check_kinds(
    session: Session, tables: Sequence[TableName], creatable: Collection[TableName]
) -> tuple[TableName, ...]:
    """Check that all store their rows themselves, each its own. Return those that are to be created.

    Raises:
        UsageError: One does not, or is missing.
    """
    names, new = [table.quoted for table in tables], []
    for place, kind in session.run(f"{_TREES} SELECT place, kind FROM given ORDER BY place", names):
        table = tables[place - 1]
        if kind is None and table not in creatable:
            raise UsageError(f"There is no table {table}.", "Create it first, or let the release create it.")
        if kind is None:
            new.append(table)
        elif kind not in ("r", "p"):
            raise UsageError(
                f"{table} is not a plain or partitioned table.",
                "Name the table itself: what a view or a foreign table shows is changed elsewhere.",
            )
    shared = session.run(
        f"{_TREES} SELECT a.place, b.place FROM tree AS a JOIN tree AS b USING (oid) WHERE a.place < b.place "
        "AND b.oid = (SELECT oid FROM given WHERE given.place = b.place) UNION "
        "SELECT b.place, a.place FROM tree AS a JOIN tree AS b USING (oid) WHERE a.place < b.place "
        "AND a.oid = (SELECT oid FROM given WHERE given.place = a.place) LIMIT 1",
        names,
    )
    for whole, part in shared:
        raise UsageError(
            f"{tables[part - 1]} is a partition or child of {tables[whole - 1]}, and both are in the release.",
            "Name one of them: their rows are the same.",
        )
    return tuple(new)
