"""What may change rows on their way into a table, or keep them out: BEFORE triggers, rules and foreign servers."""

from __future__ import annotations

from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_BEFORE_EACH_ROW, INSERT, _DELETE, UPDATE = 1 + 2, 4, 8, 16
"""Bits of pg_trigger's tgtype."""


def takes_every_row(session: Session, table: TableName) -> bool:
    """Return whether every inserted or updated row is stored: no trigger, rule or foreign server may suppress any."""
    return all(
        kind in ("r", PARTITIONED) and not has_rules and not has_triggers
        for kind, has_rules, has_triggers in _relations(session, table, INSERT | _DELETE | UPDATE)
    )


def may_change_rows(session: Session, table: TableName, events: int) -> bool:
    """Return whether a trigger or rule may change rows before they are checked, or store them elsewhere.

    Args:
        session: A session of the table's database.
        table: The table.
        events: The statements that write the rows: INSERT, UPDATE, or both.
    """
    return any(has_rules or has_triggers for _, has_rules, has_triggers in _relations(session, table, events))


def _relations(session: Session, table: TableName, events: int) -> list[tuple[str, bool, bool]]:
    """Return of the table and all below it: the relkind, and whether it has rules, and triggers before these events."""
    found = session.run(
        "WITH RECURSIVE tree (oid) AS (SELECT to_regclass(%s)::oid UNION "
        "SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid) "
        "SELECT c.relkind::text, c.relhasrules, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid "
        f"AND tgenabled <> 'D' AND tgtype & {_BEFORE_EACH_ROW} = {_BEFORE_EACH_ROW} AND tgtype & {events} <> 0) "
        "FROM tree JOIN pg_class c USING (oid)",
        table.quoted,
    )
    return [(kind, has_rules, has_triggers) for kind, has_rules, has_triggers in found]
