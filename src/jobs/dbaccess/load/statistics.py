"""The planner's statistics after a load: which tables to ANALYZE, at a cost that is small compared to the load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog.tables import PARTITIONED
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

LONGEST_WAIT = "10s"
"""How long to wait for whoever vacuums the table, or changes its definition. The server ends an autovacuum after 1 s.
The rows are loaded, and whoever waits for the load is not to wait for that."""

SHARE = 0.1
"""If a load changed this share of a table's rows, it is analyzed. It is autovacuum's default."""


@dataclass(frozen=True)
class Partition:
    """A leaf of a partitioned table. `rows` is the number in the last ANALYZE, or negative if there was none."""

    name: TableName
    rows: float
    is_empty: bool


def refresh(session: Session, table: TableName, changed: int | None, *, lock_timeout: str = LONGEST_WAIT) -> None:
    """Analyze what a load changed.

    Args:
        session: A session of the table's database.
        table: The table that was loaded.
        changed: The least number of rows that were changed, or None for all rows.
        lock_timeout: How long to wait for a lock of the table.

    Raises:
        TransientError: A lock was not granted in time.
    """
    found = session.run(
        "SELECT relkind::text, CASE WHEN EXISTS (SELECT FROM pg_stats s WHERE (s.schemaname, s.tablename) = "
        "(n.nspname, c.relname)) THEN reltuples::float8 ELSE -1 END "  # CREATE INDEX counts rows, too
        "FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass(%s)",
        table.quoted,
    )
    if not found:  # somebody dropped it since
        return
    [[kind, rows]] = found
    partitions = _partitions(session, table) if kind == PARTITIONED else [Partition(table, rows, is_empty=False)]
    for name in worth_reading(table, partitions, changed):
        with session.transaction(lock_timeout=lock_timeout):
            session.run(analyzing(name))


def analyzing(table: TableName) -> str:
    """Return the statement that refreshes a table's statistics."""
    return f"ANALYZE {table.quoted}"


def worth_reading(table: TableName, partitions: Sequence[Partition], changed: int | None) -> list[TableName]:
    """Return a table if much of it changed, or else its partitions that were never analyzed.

    The rest is left to autovacuum, which knows how much has changed since the last time. A plain table is its own only
    partition.
    """
    known = sum(max(partition.rows, 0) for partition in partitions)
    if changed is None or changed >= SHARE * known:
        return [table]
    return [partition.name for partition in partitions if partition.rows < 0 and not partition.is_empty]


def _partitions(session: Session, table: TableName) -> list[Partition]:
    leaves = session.run(
        "SELECT n.nspname, c.relname, c.reltuples::float8, pg_relation_size(c.oid) = 0 "
        "FROM pg_partition_tree(to_regclass(%s)) AS tree JOIN pg_class c ON c.oid = tree.relid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE tree.isleaf AND c.relkind = 'r' ORDER BY 1, 2",
        table.quoted,
    )
    return [Partition(TableName(name, schema), rows, is_empty) for schema, name, rows, is_empty in leaves]
