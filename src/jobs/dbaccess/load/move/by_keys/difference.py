"""Overwrite by difference: delete, update and insert only what differs, so that the table equals the data afterwards.

Readers see the old rows until the commit, as with any overwrite. Replicas, vacuum and triggers see only the changes.
A key that the index takes for equal, though it is written otherwise (1.0 and 1.00), is updated as any other value.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.unique_indexes import equalities, respelled
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move import deletion, keys, overwrite
from jobs.dbaccess.load.move.by_keys import upsert
from jobs.dbaccess.load.move.by_keys.upsert import Upsert
from jobs.dbaccess.load.move.modes import Move, Written
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


def check(session: Session, target: TableName) -> None:
    """Check that the table can be compared by its keys, before anything is copied.

    Raises:
        LoadError: It has children by inheritance, whose rows are its own but not its index's.
    """
    if tables.has_children(session, target):
        raise LoadError(
            f"{target} has inheritance children, to whose rows its unique index does not apply.",
            "Load into the children one by one, or choose another mode or strategy.",
        )


def replace_rows(session: Session, move: Move, target: TableName, staged: TableName, rows: int) -> Written:
    """Make the table equal to the staged rows, in the open transaction.

    Columns that the data lacks keep their values in rows that remain.

    Args:
        session: A session in a transaction that excludes other loads of the table.
        move: The columns and the keys.
        target: The table, which has a unique index on the keys.
        staged: The table of the staged rows, which nobody else uses.
        rows: How many rows are staged.

    Raises:
        LoadError: Rows would remain, or other tables' rows would change; a key is NULL, or is staged twice.
        DatabaseError: The target rejects a row.
    """
    table_locks.keep_writers_out(session, target)
    foreseen = overwrite.check(session, move, target)
    check(session, target)
    written_by = upserting(move, respelled(session, target, move.keys))
    keys.check_unique_index(session, written_by, target)
    if not move.values and not move.order:
        keys.check_not_repeated(session, move, staged)
    statements = Upsert(written_by, target, staged, equalities(session, target, move.keys))
    _check_respelled(session, statements)
    with session.users_path():
        deleted = session.change(statements.delete_missing())
    if move.limits_deletes:
        left = session.value(f"SELECT count(*) FROM {target.quoted}")
        deletion.check_share(move, target, left + deleted, missing=deleted)
    written = upsert.upsert(session, written_by, target, staged, rows)
    if not written_by.values:  # each row that remains has a staged key, and that is all there is to compare
        present = session.value(f"SELECT count(*) FROM {target.quoted}")
        written = replace(written, unchanged=present - written.inserted)
    if foreseen.is_watched:
        overwrite.check_count(session, move, target, written.inserted + written.updated + written.unchanged)
    return replace(written, deleted=deleted)


def upserting(move: Move, respelled_keys: Collection[str]) -> Move:
    """Return the upsert that writes what differs, after the rows that the data lacks were deleted.

    Args:
        move: The overwrite.
        respelled_keys: Those of the keys whose values may be equal and differ: they are updated, too.
    """
    updated = tuple(name for name in move.columns if name not in move.keys or name in respelled_keys)
    changes = replace(move.changes, update_columns=updated)
    return replace(move, mode="upsert", skip_unchanged="yes", changes=changes)


def _check_respelled(session: Session, statements: Upsert) -> None:
    """Check that no key is updated whose foreign keys would then change rows of other tables.

    Raises:
        LoadError: There is one.
    """
    updated = [key for key in statements.move.keys if key in statements.move.values]
    if not updated:
        return
    referencing = session.run(_CHANGING_ON_UPDATE, statements.target.quoted, updated)
    if not referencing or not session.run(statements.respelled(updated)):
        return
    raise LoadError(
        f"A key of {statements.target} is written otherwise in the data, such as 1.00 for 1.0, and rows of "
        f"{referencing[0][0]} would be changed with it, because of a foreign key (ON UPDATE).",
        "Write the key as the table has it, or change that foreign key.",
    )


_CHANGING_ON_UPDATE = (
    "SELECT conrelid::regclass::text FROM pg_constraint "
    "JOIN pg_attribute ON attrelid = confrelid AND attnum = ANY (confkey) "
    "WHERE contype = 'f' AND confupdtype IN ('c', 'n', 'd') AND confrelid = to_regclass(%s) "
    "AND attname = ANY (%s::text[]) LIMIT 1"
)
