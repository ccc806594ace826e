"""Overwrite: what else deleting all rows of a table would do, and how the rows are replaced.

The server itself says from which tables a DELETE takes rows: its plan names partitions, child tables, and the tables of
views and rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess.catalog.tables import FOREIGN, VIEW
from jobs.dbaccess.errors import DatabaseError, LoadError
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_CHANGES_ROWS = frozenset({"c", "n", "d"})
"""pg_constraint's confdeltype of ON DELETE CASCADE, SET NULL and SET DEFAULT."""

_NO_ACTION = "a"
_INSUFFICIENT_PRIVILEGE = "42501"


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


def check(session: Session, target: TableName) -> Deletion:
    """Check that overwrite would leave no rows, and change no rows of other tables. A transaction must be open.

    Raises:
        LoadError: It would. The message names the tables.
        DatabaseError: The user may not delete.
    """
    deletion = _foresee(session, target)
    if deletion.changed_tables:
        raise LoadError(
            f"Overwriting {target} would change or delete rows of {', '.join(deletion.changed_tables)}: "
            "because of their foreign keys (ON DELETE).",
            "Use the mode upsert, or change these foreign keys.",
        )
    return deletion


def lock(session: Session, target: TableName) -> None:
    """Exclude other writers, new foreign keys, triggers and policies until the commit. Readers are not blocked."""
    session.run(f"LOCK TABLE {target.quoted} IN SHARE ROW EXCLUSIVE MODE")


def replace_rows(session: Session, move: Move, target: TableName, staged: TableName) -> int:
    """Delete all rows and insert the staged ones, in the open transaction. Return how many were inserted.

    Raises:
        LoadError: Rows would remain, or rows of other tables would change.
    """
    lock(session, target)
    deletion = check(session, target)
    with session.users_path():
        if deletion.is_one_statement:
            inserted = session.change(move.replaced(target, staged))
        else:
            session.run(f"DELETE FROM {target.quoted}")
            inserted = session.change(move.insert(target, staged))
    if deletion.is_watched:
        _check_count(session, target, inserted)
    return inserted


def _check_count(session: Session, target: TableName, inserted: int) -> None:
    [[present]] = session.run(f"SELECT count(*) FROM {target.quoted}")
    if present != inserted:
        raise LoadError(
            f"Overwriting {target} failed: {present} rows are there, and not the {inserted} that were inserted.",
            "Triggers or rules keep, add or delete rows, or a view does not show rows that it accepts. "
            "Nothing was changed. Use another mode, or change these.",
        )


def _foresee(session: Session, target: TableName) -> Deletion:
    plans = _plans(session, target)
    tables = [target.quoted, *{name.quoted for plan in plans for name in _deleted_from(plan)}]
    # A view shows some of the rows, and a rule deletes what it likes.
    is_whole = len(plans) == 1 and session.run(
        "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind <> %s", target.quoted, VIEW
    )
    references = session.run(
        "SELECT conrelid::regclass::text, conrelid = ANY (%s::regclass[]), confdeltype::text "
        "FROM pg_constraint WHERE contype = 'f' AND confrelid = ANY (%s::regclass[])",
        tables,
        tables,
    )
    triggers_or_foreign = session.run(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = ANY (%s::regclass[]) AND NOT tgisinternal AND tgenabled <> 'D' "
        f"AND tgtype & {_ON_DELETE} <> 0 UNION ALL "
        "SELECT 1 FROM pg_class WHERE oid = ANY (%s::regclass[]) AND relkind = %s LIMIT 1",
        tables,
        tables,
        FOREIGN,
    )
    return Deletion(
        tuple(Reference(table, inside and bool(is_whole), action) for table, inside, action in references),
        is_watched=bool(triggers_or_foreign) or not is_whole,
    )


_ON_DELETE = 8
"""The bit of pg_trigger's tgtype."""


def _plans(session: Session, target: TableName) -> list[dict[str, Any]]:
    """Return the server's plans for deleting all rows: one, unless rules add others.

    With row_security off, a policy that would hide rows raises an error. pg_dump uses the same setting.

    Raises:
        LoadError: Row-level security may hide rows.
    """
    [[row_security, may_delete]] = session.run(
        "SELECT current_setting('row_security'), has_table_privilege(%s, 'DELETE')", target.quoted
    )
    session.run("SET LOCAL row_security = off")
    try:
        [[plans]] = session.run(f"EXPLAIN (VERBOSE, FORMAT JSON) DELETE FROM {target.quoted}")
    except DatabaseError as error:
        if may_delete and error.sqlstate == _INSUFFICIENT_PRIVILEGE:
            raise LoadError(
                f"Row-level security may hide rows of {target} from this user, and overwrite would leave them.",
                "Load as a user that no policy binds (BYPASSRLS), or use another mode.",
            ) from None
        raise
    session.run(f"SET LOCAL row_security = {row_security}")
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
