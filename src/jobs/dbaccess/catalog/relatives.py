"""What belongs to a table, so that a load of the table locks it, too: partitions, child tables, foreign keys."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_TREE = (
    "WITH RECURSIVE tree (oid) AS (SELECT to_regclass(%s)::oid UNION "
    "SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid) "
)


@dataclass(frozen=True)
class Relatives:
    """The relatives of a table.

    Attributes:
        children: How many partitions or child tables it has, at all levels.
        referenced: Other tables to which its foreign keys lead.
        referencing: Other tables whose foreign keys lead to it.
    """

    children: int = 0
    referenced: tuple[TableName, ...] = ()
    referencing: tuple[TableName, ...] = ()


def relatives(session: Session, table: TableName) -> Relatives:
    """Read them from the catalog. A table that does not exist has none."""
    children = session.value(f"{_TREE} SELECT count(*) - 1 FROM tree", table.quoted)
    return Relatives(
        max(0, children),
        _others(session, table, "conrelid", "confrelid"),
        _others(session, table, "confrelid", "conrelid"),
    )


def _others(session: Session, table: TableName, own: str, other: str) -> tuple[TableName, ...]:
    """Return the tables at the other end of foreign keys, without the table and its children."""
    found = session.run(
        f"{_TREE} SELECT DISTINCT n.nspname, c.relname FROM pg_constraint k JOIN pg_class c ON c.oid = k.{other} "
        f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND k.{own} IN (SELECT oid FROM tree) "
        f"AND k.{other} NOT IN (SELECT oid FROM tree) ORDER BY 1, 2",
        table.quoted,
    )
    return tuple(TableName(name, schema) for schema, name in found)
