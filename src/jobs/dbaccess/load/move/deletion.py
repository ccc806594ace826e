"""What deleting rows of a table does beside: to rows of other tables, and how many may be deleted.

The server itself says from which tables a DELETE takes rows: its plan names partitions, child tables, and the tables of
views and rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess.catalog.tables import FOREIGN, VIEW
from jobs.dbaccess.errors import DatabaseError, LoadError
from jobs.dbaccess.load.move.modes import MISSING_SHARE, Move
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.query import condition
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import INSUFFICIENT_PRIVILEGE

_CHANGES_ROWS = frozenset({"c", "n", "d"})
"""pg_constraint's confdeltype of ON DELETE CASCADE, SET NULL and SET DEFAULT."""

_NO_ACTION = "a"

AFTER_DELETE = "WHERE (SELECT pg_catalog.count(*) FROM pgjobs_gone) OPERATOR(pg_catalog.>=) 0"
"""A condition that is always true. It causes the DELETE in a WITH, named so, to be executed first."""


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
    """The effects of deleting rows of a table.

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


def deleting(target: TableName, where: str | None = None) -> str:
    """Return the statement that deletes all rows, or those for which a condition is true."""
    return f"DELETE FROM {target.quoted}" + (f" WHERE {condition.enclosed(where)}" if where is not None else "")


def foresee(session: Session, target: TableName, where: str | None, emptied: Sequence[TableName] = ()) -> Deletion:
    """Return what deleting rows of a table would do. A transaction must be open.

    Args:
        session: A session.
        target: The table.
        where: The condition of rows that are deleted; None for all.
        emptied: Tables that the transaction empties before, so that they refer to no row.

    Raises:
        LoadError: Row-level security may hide rows.
        DatabaseError: The user may not delete.
    """
    plans = _plans(session, target, where)
    tables = [target.quoted, *{name.quoted for plan in plans for name in _deleted_from(plan)}]
    # A view shows some of the rows, and a rule deletes what it likes.
    is_plain = len(plans) == 1 and session.run(
        "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind <> %s", target.quoted, VIEW
    )
    is_whole = is_plain and where is None
    references = session.run(
        "WITH RECURSIVE emptied (oid) AS (SELECT unnest(%s::regclass[])::oid UNION "
        "SELECT inhrelid FROM pg_inherits JOIN emptied ON inhparent = emptied.oid) "
        "SELECT conrelid::regclass::text, conrelid = ANY (%s::regclass[]), confdeltype::text "
        "FROM pg_constraint WHERE contype = 'f' AND confrelid = ANY (%s::regclass[]) "
        "AND conrelid NOT IN (SELECT oid FROM emptied)",
        [table.quoted for table in emptied],
        tables,
        tables,
    )
    triggers_or_foreign = session.run(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = ANY (%s::regclass[]) AND NOT tgisinternal AND tgenabled <> 'D' "
        f"AND {_CHANGES_DELETED if where is None else _CHANGES_ANY} UNION ALL "
        "SELECT 1 FROM pg_class WHERE oid = ANY (%s::regclass[]) AND relkind = %s LIMIT 1",
        tables,
        tables,
        FOREIGN,
    )
    return Deletion(
        tuple(Reference(table, inside and bool(is_whole), action) for table, inside, action in references),
        is_watched=bool(triggers_or_foreign) or not is_plain,
    )


_BEFORE, _DELETE, _INSERT_OR_UPDATE = 2, 8, 4 | 16
"""Bits of pg_trigger's tgtype."""

_CHANGES_ANY = f"tgtype & {_DELETE | _INSERT_OR_UPDATE} <> 0"
"""A condition: that a trigger can change what a slice holds in the end. A new row may leave its slice."""

_CHANGES_DELETED = f"(tgtype & {_DELETE} <> 0 OR tgtype & {_BEFORE} = 0 AND tgtype & {_INSERT_OR_UPDATE} <> 0)"
"""Likewise, what a table holds of which all rows are replaced. Rows that BEFORE INSERT keeps are not counted at all."""


def check(session: Session, target: TableName) -> None:
    """Check that deleting some rows of a table would change no other rows. A transaction must be open.

    Raises:
        LoadError: Other rows would be changed. The message names the tables.
        DatabaseError: The user may not delete.
    """
    deletion = foresee(session, target, "true")
    if deletion.changed_tables:
        raise LoadError(
            f"Deleting rows of {target} would change or delete rows of {', '.join(deletion.changed_tables)}, because "
            "of their foreign keys (ON DELETE).",
            "Mark rows with --soft-delete, or change these foreign keys.",
        )


def check_share(move: Move, target: TableName, rows: int, *, missing: int, told: int = 0) -> None:
    """Check that a load deletes no larger share of a table than it may. The default limits only what the data lacks.

    Args:
        move: It has the limit.
        target: The table.
        rows: How many rows it had.
        missing: How many of them were deleted because the data lacks their keys.
        told: How many were deleted because the data says so.

    Raises:
        LoadError: It does.
    """
    is_default = move.max_delete_share is None
    share = MISSING_SHARE if move.max_delete_share is None else move.max_delete_share
    deleted = missing if is_default else missing + told
    if rows and deleted / rows > share:  # 0.29 * 100 is less than 29
        why = ", because the data lacks their keys" if is_default else ""
        raise LoadError(
            f"The load would delete {deleted:,} of the {rows:,} rows of {target}{why}. At most {share:.4g} of them may "
            "be deleted.",
            "Nothing was changed. Check that the data is complete, or give a larger --max-delete-share: 1 allows all.",
        )


def limit_told(move: Move) -> str:
    """Return how many rows of the table a load may delete, as a sentence; empty if there is no limit."""
    if not move.limits_deletes:
        return ""
    if move.max_delete_share is None:
        return f"The load fails if the data lacks the keys of more than {MISSING_SHARE:.4g} of the table's rows."
    return f"The load fails if it would delete more than {move.max_delete_share:.4g} of the table's rows."


def _plans(session: Session, target: TableName, where: str | None) -> list[dict[str, Any]]:
    """Return the server's plans for deleting the rows: one, unless rules add others.

    For a slice, the INSERT is planned, too: its rows are returned, which rules and missing privileges may prevent.

    With row_security off, a policy that would hide rows raises an error. pg_dump uses the same setting.

    Raises:
        LoadError: Row-level security may hide rows.
    """
    may_delete = session.value("SELECT has_table_privilege(%s, 'DELETE')", target.quoted)
    try:
        with local_settings(session, {"row_security": "off"}), session.users_path():
            [[plans]] = session.ask(f"EXPLAIN (VERBOSE, FORMAT JSON) {deleting(target, where)}").rows
            if where is not None:
                judged = f"RETURNING {condition.enclosed(where)}"
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
