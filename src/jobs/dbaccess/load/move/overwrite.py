"""Overwrite: what else deleting rows of a table would do, and how all of its rows, or a slice of them, are replaced.

The server itself says from which tables a DELETE takes rows: its plan names partitions, child tables, and the tables of
views and rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess import table_locks
from jobs.dbaccess.catalog.relatives import relatives
from jobs.dbaccess.catalog.tables import FOREIGN, PARTITIONED, VIEW
from jobs.dbaccess.errors import DatabaseError, LoadError, TransientError, UsageError
from jobs.dbaccess.load.move.modes import TRUNCATE, Move
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.query import condition
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import INSUFFICIENT_PRIVILEGE

_CHANGES_ROWS = frozenset({"c", "n", "d"})
"""pg_constraint's confdeltype of ON DELETE CASCADE, SET NULL and SET DEFAULT."""

_NO_ACTION = "a"


@dataclass(frozen=True)
class Reference:
    """A foreign key to a table from which rows are deleted.

    Attributes:
        table: The referencing table.
        inside: Whether all rows of the referencing table are deleted, too.
        action: The confdeltype in pg_constraint.
    """

    table: str
    inside: bool
    action: str


@dataclass(frozen=True)
class Deletion:
    """The effects of deleting all rows of a table.

    Attributes:
        references: The foreign keys whose actions the DELETE can cause.
        is_watched: Whether triggers, rules, a view or a foreign server can change its effect.
    """

    references: tuple[Reference, ...]
    is_watched: bool

    @property
    def changed_tables(self) -> list[str]:
        """The referencing tables, outside of the overwritten one, whose rows would be deleted or changed."""
        return sorted({r.table for r in self.references if not r.inside and r.action in _CHANGES_ROWS})

    @property
    def is_one_statement(self) -> bool:
        """Whether DELETE and INSERT are to be one statement, at whose end foreign keys are checked.

        Then a referenced row can be replaced by one with the same key. But the table's own foreign keys would act ON
        DELETE on the new rows, too.
        """
        fires_inside = any(r.inside and r.action != _NO_ACTION for r in self.references)
        return not fires_inside and any(not r.inside for r in self.references)


@dataclass(frozen=True)
class Replaced:
    """How many rows were inserted and deleted."""

    inserted: int
    deleted: int


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
        check_condition(session, target.quoted, move.where, target)
    deletion = _foresee(session, move, target)
    if deletion.changed_tables:
        raise LoadError(
            f"Overwriting {target} would change or delete {'other ' if move.where is not None else ''}rows of "
            f"{', '.join(deletion.changed_tables)}: because of their foreign keys (ON DELETE).",
            "Use the mode upsert, or change these foreign keys.",
        )
    return deletion


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
        reason = "this user lacks the privilege" if not may_truncate else "it is no plain or partitioned table"
        raise LoadError(f"{target} cannot be truncated: {reason}.", "Leave --overwrite-strategy truncate out.")
    referencing = relatives(session, target).referencing
    if referencing:
        raise LoadError(
            f"{target} cannot be truncated: {', '.join(map(str, referencing))} may refer to its rows.",
            "Leave --overwrite-strategy truncate out: a referenced row can be replaced by one with the same key.",
        )


def check_deletes(session: Session, target: TableName) -> None:
    """Check that deleting some rows of a table would change no other rows. A transaction must be open.

    Raises:
        LoadError: Other rows would be changed. The message names the tables.
        DatabaseError: The user may not delete.
    """
    deletion = _foresee(session, Move("overwrite", (), where="true"), target)
    if deletion.changed_tables:
        raise LoadError(
            f"Deleting rows of {target} would change or delete rows of {', '.join(deletion.changed_tables)}: because "
            "of their foreign keys (ON DELETE).",
            "Mark rows with --soft-delete, or change these foreign keys.",
        )


def check_condition(session: Session, relation: str, where: str, target: TableName) -> None:
    """Check the condition of a slice.

    Args:
        session: A session.
        relation: Has the columns, as written in FROM.
        where: The condition.
        target: The table, for the message.

    Raises:
        UsageError: It is not one boolean expression over the columns. The message contains the server's reason.
    """
    try:
        condition.check(session, relation, where)
    except TransientError:
        raise
    except DatabaseError as error:
        raise UsageError(
            f"--overwrite-where is not one boolean expression over the columns of {target}: {error.message}",
            "Nothing was loaded. Correct the condition.",
        ) from None


def lock(session: Session, target: TableName) -> None:
    """Exclude other writers, new foreign keys, triggers and policies until the commit. Readers are not blocked."""
    session.run(locking(target))


def locking(target: TableName) -> str:
    """Return the statement that locks the table."""
    return f"LOCK TABLE {target.quoted} IN {table_locks.SHARE_ROW_EXCLUSIVE} MODE"


def replace_rows(session: Session, move: Move, target: TableName, staged: TableName) -> Replaced:
    """Delete the rows and insert the staged ones, in the open transaction.

    Raises:
        LoadError: Rows would remain, other rows would change, or a new row is outside of the slice.
    """
    lock(session, target)
    deletion = check(session, move, target)
    replace = _replace_all if move.where is None else _replace_slice
    with session.users_path():
        replaced = replace(session, move, target, staged, at_once=deletion.is_one_statement)
    if deletion.is_watched:
        check_count(session, move, target, replaced.inserted)
    return replaced


def _replace_all(session: Session, move: Move, target: TableName, staged: TableName, *, at_once: bool) -> Replaced:
    statements = replacing(move, target, staged, at_once=at_once)
    if at_once:
        deleted = session.value(f"SELECT pg_catalog.count(*) FROM {target.quoted}")
        return Replaced(session.change(*statements), deleted)
    if move.strategy == TRUNCATE:  # which counts no rows; until here, readers do not wait
        deleted = session.value(f"SELECT pg_catalog.count(*) FROM {target.quoted}")
        session.run(statements[0])
        return Replaced(session.change(statements[1]), deleted)
    deleted, inserted = map(session.change, statements)
    return Replaced(inserted, deleted)


def _replace_slice(session: Session, move: Move, target: TableName, staged: TableName, *, at_once: bool) -> Replaced:
    answers = [session.ask(statement) for statement in replacing(move, target, staged, at_once=at_once)]
    if at_once:
        [[inserted, outside, deleted]] = answers[0].rows
    else:
        deleted = answers[0].count or 0
        [[inserted, outside]] = answers[1].rows
    _refuse_outside(outside, inserted)
    return Replaced(inserted, deleted)


def replacing(move: Move, target: TableName, staged: TableName, *, at_once: bool) -> list[str]:
    """Return the statements that replace the rows: one, or a DELETE and an INSERT (`Deletion.is_one_statement`)."""
    if at_once:
        return [move.replaced(target, staged) if move.where is None else move.slice_replaced(target, staged)]
    insert = move.insert if move.where is None else move.slice_inserted
    return [move.delete(target), insert(target, staged)]


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
            f"Overwriting {target} failed: {present} rows are there, and not the {inserted} that were inserted.",
            "Triggers or rules keep, add or delete rows, or a view does not show rows that it accepts. "
            "Nothing was changed. Use another mode, or change these.",
        )


def _foresee(session: Session, move: Move, target: TableName) -> Deletion:
    plans = _plans(session, move, target)
    tables = [target.quoted, *{name.quoted for plan in plans for name in _deleted_from(plan)}]
    # A view shows some of the rows, and a rule deletes what it likes.
    is_plain = len(plans) == 1 and session.run(
        "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind <> %s", target.quoted, VIEW
    )
    is_whole = is_plain and move.where is None
    references = session.run(
        "WITH RECURSIVE emptied (oid) AS (SELECT unnest(%s::regclass[])::oid UNION "
        "SELECT inhrelid FROM pg_inherits JOIN emptied ON inhparent = emptied.oid) "
        "SELECT conrelid::regclass::text, conrelid = ANY (%s::regclass[]), confdeltype::text "
        "FROM pg_constraint WHERE contype = 'f' AND confrelid = ANY (%s::regclass[]) "
        "AND conrelid NOT IN (SELECT oid FROM emptied)",
        [table.quoted for table in move.emptied],
        tables,
        tables,
    )
    triggers_or_foreign = session.run(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = ANY (%s::regclass[]) AND NOT tgisinternal AND tgenabled <> 'D' "
        f"AND tgtype & {_ON_DELETE if move.where is None else _ON_ANY} <> 0 UNION ALL "
        "SELECT 1 FROM pg_class WHERE oid = ANY (%s::regclass[]) AND relkind = %s LIMIT 1",
        tables,
        tables,
        FOREIGN,
    )
    return Deletion(
        tuple(Reference(table, inside and bool(is_whole), action) for table, inside, action in references),
        is_watched=bool(triggers_or_foreign) or not is_plain,
    )


_ON_DELETE, _ON_ANY = 8, 4 | 8 | 16
"""The bits of pg_trigger's tgtype for DELETE, and for INSERT, DELETE and UPDATE: a new row may leave its slice."""


def _plans(session: Session, move: Move, target: TableName) -> list[dict[str, Any]]:
    """Return the server's plans for deleting the rows: one, unless rules add others.

    For a slice, the INSERT is planned, too: its rows are returned, which rules and missing privileges may prevent.

    With row_security off, a policy that would hide rows raises an error. pg_dump uses the same setting.

    Raises:
        LoadError: Row-level security may hide rows.
    """
    may_delete = session.value("SELECT has_table_privilege(%s, 'DELETE')", target.quoted)
    try:
        with local_settings(session, {"row_security": "off"}), session.users_path():
            [[plans]] = session.ask(f"EXPLAIN (VERBOSE, FORMAT JSON) {move.delete(target)}").rows
            if move.where is not None:
                judged = f"RETURNING {condition.enclosed(move.where)}"
                session.ask(f"EXPLAIN INSERT INTO {target.quoted} DEFAULT VALUES {judged}")
    except DatabaseError as error:
        if may_delete and error.sqlstate == INSUFFICIENT_PRIVILEGE:
            raise LoadError(
                f"Row-level security may hide rows of {target} from this user, and overwrite would leave them.",
                "Load as a user that no policy binds (BYPASSRLS), or use another mode.",
            ) from None
        raise
    return list(plans)


def _deleted_from(node: object) -> Iterator[TableName]:
    """Yield the tables from which a plan deletes, from the JSON of EXPLAIN."""
    if isinstance(node, list):
        for item in node:
            yield from _deleted_from(item)
    if isinstance(node, dict):
        if node.get("Operation") == "Delete":
            for table in (node, *node.get("Target Tables", [])):
                if "Relation Name" in table:
                    yield TableName(table["Relation Name"], table["Schema"])
        for inner in node.values():
            yield from _deleted_from(inner)
