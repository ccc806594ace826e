"""Overwrite by difference: delete, update and insert only what differs, so that the table equals the data afterwards.

Readers see the old rows until the commit, as with any overwrite. Replicas, vacuum and triggers see only the changes.
"""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.unique_indexes import equalities
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
    written_by = upserting(move)
    keys.check_unique_index(session, written_by, target)
    if not move.values and not move.order:
        keys.check_not_repeated(session, move, staged)
    statements = Upsert(written_by, target, staged, equalities(session, target, move.keys))
    with session.users_path():
        deleted = session.change(statements.delete_missing())
    if move.limits_deletes:
        left = session.value(f"SELECT count(*) FROM {target.quoted}")
        deletion.check_share(move, target, left + deleted, missing=deleted)
    written = upsert.upsert(session, written_by, target, staged, rows)
    if not move.values:  # each row that remains has a staged key, and that is all there is to compare
        present = session.value(f"SELECT count(*) FROM {target.quoted}")
        written = replace(written, unchanged=present - written.inserted)
    if foreseen.is_watched:
        overwrite.check_count(session, move, target, written.inserted + written.updated + written.unchanged)
    return replace(written, deleted=deleted)


def upserting(move: Move) -> Move:
    """Return the upsert that writes what differs, after the rows that the data lacks were deleted."""
    return replace(move, mode="upsert", skip_unchanged="yes")
