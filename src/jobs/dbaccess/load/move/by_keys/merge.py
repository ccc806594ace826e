"""Upsert by statements: what INSERT .. ON CONFLICT cannot do, which is deletes, conditions, and keys without an index.

The table is locked against other writers (SHARE ROW EXCLUSIVE), so that rows that one statement does not find are not
there for the next one either: DELETE, then UPDATE, then INSERT. It is what MERGE does, on each version of PostgreSQL,
with two differences. Two loads cannot both insert a key, though no unique index keeps them from it. And a unique value
may move from a row that is deleted to one that is inserted. Where rows exchange such values, which an UPDATE cannot do,
publish tries again, and one statement deletes and inserts them. Readers are not blocked.
"""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.catalog.unique_indexes import equalities, has_unique_index
from jobs.dbaccess.errors import LoadError, UsageError, plural
from jobs.dbaccess.load.move import conditions, deletion, keys
from jobs.dbaccess.load.move.by_keys import upsert
from jobs.dbaccess.load.move.by_keys.merge_statements import Merge
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def is_needed(session: Session, move: Move, target: TableName) -> bool:
    """Return whether an upsert is done by statements: by what it is to do, or because no unique index is there."""
    return move.changes.by_statements or not has_unique_index(session, target, move.keys)


def check(session: Session, move: Move, target: TableName) -> None:
    """Check that an existing table can be changed by statements. A transaction must be open.

    Raises:
        UsageError: A condition is none.
        LoadError: The table is of another kind, or hides rows; other tables' rows would change.
        DatabaseError: The user may not delete.
    """
    [kind, hides] = session.row(
        2, "SELECT relkind::text, row_security_active(oid) FROM pg_class WHERE oid = to_regclass(%s)", target.quoted
    )
    if kind not in ("r", PARTITIONED):
        raise LoadError(
            f"{target} is not a plain or partitioned table: it has no unique index on exactly "
            f"({', '.join(move.keys)}), and cannot be locked against other writers.",
            "Load into the table itself.",
        )
    if tables.has_children(session, target):
        raise LoadError(
            f"{target} has inheritance children, to whose rows its unique index does not apply.",
            "Load into the children one by one.",
        )
    if hides:
        raise LoadError(
            f"Row-level security may hide rows of {target} from this user, and the load would not find them.",
            "Load as a user that no policy binds (BYPASSRLS).",
        )
    conditions.check(session, move, conditions.data_of(move, target), target.quoted)
    if move.changes.removes or move.keeps_history:
        deletion.check(session, target)


def marks_by_time(session: Session, move: Move, target: TableName) -> bool:
    """Return whether the column of --soft-delete stores a time.

    Raises:
        UsageError: The table has no such column, or it stores neither a time nor a boolean.
    """
    name = move.changes.soft_delete
    if name is None:
        return False
    table = tables.find_table(session, target)
    column = next((column for column in table.columns if column.name == name), None) if table else None
    if column is None or (column.base_type not in _TIMES and column.base_type != "bool"):
        what = f"has no column {name!r}" if column is None else f"has a {column.type_name} as {name!r}"
        raise UsageError(
            f"{target} {what}. --soft-delete needs a boolean, or a timestamp that may be NULL.",
            f"Have the load add it: --metadata-columns '{name}=timestamptz'.",
        )
    return column.base_type != "bool"


_TIMES = ("timestamptz", "timestamp", "date")


def merge(session: Session, move: Move, target: TableName, staged: TableName, rows: int) -> Written:
    """Write the staged rows to a table, in the open transaction.

    Args:
        session: A session in a transaction that excludes other loads of the table.
        move: The columns, the keys, and what is to be done.
        target: The table.
        staged: The table of the staged rows, which nobody else uses.
        rows: How many rows are staged.

    Raises:
        LoadError: A key is NULL, is staged twice, or is that of several rows of the table; or too many rows would be
            deleted.
        DatabaseError: The target rejects a row, or another table refers to one that is to be deleted.
    """
    table_locks.keep_writers_out(session, target)
    check(session, move, target)
    keys.check_not_null(session, move, target, staged)
    if move.changes.order_by:
        keys.check_last_is_known(session, move, staged)
    elif not move.order:
        keys.check_not_repeated(session, move, staged)
    statements = Merge(
        move,
        target,
        staged,
        equalities(session, target, move.keys),
        marks_by_time=marks_by_time(session, move, target),
    )
    statements = replace(statements, skips=_skips(session, statements, rows))
    if not has_unique_index(session, target, move.keys):
        _check_unambiguous(session, statements)
    replacing = _replacing(session, statements) if move.exchanges else ""
    with session.users_path():
        return _execute(session, statements, replacing)


def _execute(session: Session, statements: Merge, replacing: str) -> Written:
    changes, move = statements.move.changes, statements.move
    if changes.delete_when is not None:
        session.ask(statements.judge())
    before = session.ask(statements.count_rows()).rows[0][0] if move.limits_deletes else 0
    told = _change(session, statements.delete_told()) if changes.delete_when is not None else 0
    missing = _change(session, statements.delete_missing()) if changes.delete_missing else 0
    if move.limits_deletes:
        deletion.check_share(move, statements.target, before, missing=missing, told=told)
    update = statements.update()
    unchanged = session.ask(statements.count_unchanged()).rows[0][0] if statements.skips or not update else 0
    updated = _change(session, replacing or update) if update else 0
    inserted = _change(session, statements.insert_missing())
    if changes.delete_when is not None:
        session.ask(statements.forget())
    return Written(inserted, updated, unchanged, told + missing, otherwise=told)


def _replacing(session: Session, statements: Merge) -> str:
    """Return the statement that replaces rows that exchange unique values; empty if they have to be updated.

    That is the case if triggers would see deletes and inserts in place of updates.
    """
    target = statements.target
    table = tables.find_table(session, target)
    if table is None or deletion.foresee(session, target, "true").is_watched:
        return ""
    return statements.replace([column.name for column in table.columns if not column.generated or column.identity])


def _change(session: Session, statement: str) -> int:
    """Run a statement that contains SQL of the user's own, and return the number of rows in its command tag."""
    return session.ask(statement).count or 0


def _skips(session: Session, statements: Merge, rows: int) -> bool:
    """Return whether rows that are equal to the table's are left alone. The rows are joined anyway.

    Raises:
        LoadError: It is demanded, and not possible.
    """
    return statements.move.skip_unchanged != "no" and rows > 0 and upsert.is_comparable(session, statements)


def _check_unambiguous(session: Session, statements: Merge) -> None:
    with session.users_path():
        [[repeated]] = session.ask(statements.count_ambiguous()).rows
    if repeated:
        raise LoadError(
            f"{plural(repeated, 'key')} of the data ({', '.join(statements.move.keys)}) "
            f"{'is that' if repeated == 1 else 'are those'} of several rows of "
            f"{statements.target}.",
            "Nothing was loaded. Delete the surplus rows, or give --keys that identify a row.",
        )
