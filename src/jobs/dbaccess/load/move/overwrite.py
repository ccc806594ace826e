"""Overwrite: how all rows of a table, or a slice of them, are replaced, and what is refused before.

The condition of a slice judges new rows as they were stored: with defaults, generated columns, and what triggers
changed.
"""

from __future__ import annotations

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog.relatives import relatives
from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.move import conditions, deletion
from jobs.dbaccess.load.move.deletion import AFTER_DELETE, Deletion
from jobs.dbaccess.load.move.modes import TRUNCATE, Move, Written
from jobs.dbaccess.query import condition
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_JUDGMENT = "pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE NOT inside)"


def check(session: Session, move: Move, target: TableName) -> Deletion:
    """Check that overwrite would leave no rows, and change no other rows. A transaction must be open.

    Raises:
        UsageError: The condition is not one boolean expression over the table's columns.
        LoadError: Other rows would be changed. The message names the tables.
        DatabaseError: The user may not delete.
    """
    if move.strategy == TRUNCATE:
        _check_truncate(session, target)
        return Deletion((), is_watched=False)
    if move.where is not None:
        check_where(session, move.where, target.quoted, target)
    foreseen = deletion.foresee(session, target, move.where, move.emptied)
    if foreseen.changed_tables:
        raise LoadError(
            f"Overwriting {target} would change or delete {'other ' if move.where is not None else ''}rows of "
            f"{', '.join(foreseen.changed_tables)}, because of their foreign keys (ON DELETE).",
            "Use the mode upsert, or change these foreign keys.",
        )
    return foreseen


def _check_truncate(session: Session, target: TableName) -> None:
    """Check that TRUNCATE can empty a table, and no other one along with it.

    Raises:
        LoadError: It cannot. The message says why.
    """
    [kind, may_truncate] = session.row(
        2,
        "SELECT relkind::text, has_table_privilege(oid, 'TRUNCATE') FROM pg_class WHERE oid = to_regclass(%s)",
        target.quoted,
    )
    if kind not in ("r", PARTITIONED) or not may_truncate:
        reason = "this user lacks the privilege" if not may_truncate else "it is not a plain or partitioned table"
        raise LoadError(f"{target} cannot be truncated: {reason}.", "Leave --overwrite-strategy truncate out.")
    referencing = relatives(session, target).referencing
    if referencing:
        raise LoadError(
            f"{target} cannot be truncated: {', '.join(map(str, referencing))} may refer to its rows.",
            "Leave --overwrite-strategy truncate out: a referenced row can be replaced by one with the same key.",
        )


def check_where(session: Session, where: str, relation: str, target: TableName) -> None:
    """Check the condition of a slice of a table over the columns of a relation, as written in FROM.

    Raises:
        UsageError: It is not one boolean expression over the columns. The message contains the server's reason.
    """
    conditions.check_one(session, "--overwrite-where", where, relation, str(target))


def replace_rows(session: Session, move: Move, target: TableName, staged: TableName) -> Written:
    """Delete the rows and insert the staged ones, in the open transaction.

    Raises:
        LoadError: Rows would remain, other rows would change, or a new row is outside of the slice.
    """
    table_locks.keep_writers_out(session, target)
    foreseen = check(session, move, target)
    replace = _replace_all if move.where is None else _replace_slice
    with session.users_path():
        replaced = replace(session, move, target, staged, at_once=foreseen.is_one_statement)
    if foreseen.is_watched:
        check_count(session, move, target, replaced.inserted)
    return replaced


def _replace_all(session: Session, move: Move, target: TableName, staged: TableName, *, at_once: bool) -> Written:
    statements = replacing(move, target, staged, at_once=at_once)
    if at_once:
        deleted = session.value(f"SELECT pg_catalog.count(*) FROM {target.quoted}")
        return Written(session.change(*statements), deleted=deleted)
    if move.strategy == TRUNCATE:  # which counts no rows; until here, readers do not wait
        deleted = session.value(f"SELECT pg_catalog.count(*) FROM {target.quoted}")
        session.run(statements[0])
        return Written(session.change(statements[1]), deleted=deleted)
    deleted, inserted = map(session.change, statements)
    return Written(inserted, deleted=deleted)


def _replace_slice(session: Session, move: Move, target: TableName, staged: TableName, *, at_once: bool) -> Written:
    answers = [session.ask(statement) for statement in replacing(move, target, staged, at_once=at_once)]
    if at_once:
        [[inserted, outside, deleted]] = answers[0].rows
    else:
        deleted = answers[0].count or 0
        [[inserted, outside]] = answers[1].rows
    _refuse_outside(outside, inserted)
    return Written(inserted, deleted=deleted)


def replacing(move: Move, target: TableName, staged: TableName, *, at_once: bool) -> list[str]:
    """Return the statements that replace the rows: one, or two of which the first deletes.

    One if foreign keys are to be checked at its end (`Deletion.is_one_statement`). The result of the last statement for
    a slice is how many rows were inserted, and how many are outside of it; and, if it is the only one, how many rows
    were deleted.
    """
    delete = deleting(move, target)
    if move.where is None:
        insert = move.insert(target, staged)
        return [f"WITH pgjobs_gone AS ({delete} RETURNING 1) {insert} {AFTER_DELETE}"] if at_once else [delete, insert]
    if not at_once:
        return [delete, f"WITH {_judged(move, target, staged)} SELECT {_JUDGMENT} FROM pgjobs_moved"]
    judged = _judged(move, target, staged, AFTER_DELETE)
    counts = f"{_JUDGMENT}, (SELECT pg_catalog.count(*) FROM pgjobs_gone)"
    return [f"WITH pgjobs_gone AS ({delete} RETURNING 1), {judged} SELECT {counts} FROM pgjobs_moved"]


def deleting(move: Move, target: TableName) -> str:
    """Return the statement that deletes the rows that are replaced."""
    return f"TRUNCATE {target.quoted}" if move.strategy == TRUNCATE else deletion.deleting(target, move.where)


def _judged(move: Move, target: TableName, staged: TableName, after: str = "") -> str:
    """Return an item of WITH that inserts the rows, and says of each whether it is inside of the slice.

    The target has no alias: the condition may qualify its columns by the table's name.
    """
    into = f"INSERT INTO {target.quoted} {move.into}{move.source(staged)} {after}"
    return f"pgjobs_moved AS ({into} RETURNING {condition.enclosed(move.where or 'true')} IS TRUE AS inside)"


def check_slice(session: Session, move: Move, target: TableName) -> None:
    """Check that all rows of a table that the load made are in the slice.

    Raises:
        LoadError: Some are not.
    """
    judged = f"{condition.enclosed(move.where or 'true')} IS NOT TRUE"
    with session.users_path():
        [[rows, outside]] = session.ask(
            f"SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE {judged}) FROM {target.quoted}"
        ).rows
    _refuse_outside(outside, rows)


def _refuse_outside(outside: int, rows: int) -> None:
    if outside:
        raise LoadError(
            f"{outside:,} of {rows:,} rows do not meet the condition of --overwrite-where: it is false or NULL for "
            "them.",
            "Nothing was loaded. Correct the condition, or leave such rows out with --select.",
        )


def check_count(session: Session, move: Move, target: TableName, inserted: int) -> None:
    """Check that the table, or its slice, contains as many rows as were put there.

    Raises:
        LoadError: It does not, because of triggers, rules or a view.
    """
    where = f" WHERE {condition.enclosed(move.where)}" if move.where is not None else ""
    with session.users_path():
        [[present]] = session.ask(f"SELECT pg_catalog.count(*) FROM {target.quoted}{where}").rows
    if present != inserted:
        raise LoadError(
            f"Overwriting {target} failed: {plural(present, 'row is', 'rows are')} there, and not the {inserted:,} "
            "that were inserted.",
            "Triggers or rules keep, add or delete rows, or a view does not show rows that it accepts. "
            "Nothing was changed. Use another mode, or change these.",
        )
