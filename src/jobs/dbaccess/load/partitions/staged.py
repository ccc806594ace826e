"""Staging for partitions: a partitioned table with the target's key, and a table beside each of its partitions.

The server routes the rows of a COPY to them, as it would in the target. Nothing else is to be known of the data.
Each has the bound of the partition beside which it is. Rows that belong to none of them, or to the target's DEFAULT
partition, go to a DEFAULT partition of staging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.dbaccess.catalog.publications import publications_of
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import encoded_types, staging
from jobs.dbaccess.load.partitions import new
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, exact_forms, partitions_of
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

_BATCH = 100
"""How many tables one transaction creates: each of them takes several of the server's locks."""


def stray(staged: Staging) -> TableName:
    """Return the name of the table for rows that belong to no partition that can be replaced."""
    return staged.rows.sibling(f"{staged.rows.name}_0")


def create(session: Session, staged: Staging, target: TableName) -> None:
    """Create the staging tables, and lock them until the session ends.

    The tables are logged, as they become partitions. Checks and indexes are added when the rows are there.

    Raises:
        LoadError: A publication of logical replication includes them; or the target has other columns by now.
    """
    staging.hold(session, staged)
    with session.transaction(), exact_forms(session):
        _create_root(session, staged, target)
        encoded_types.check(session, staged.rows, staged.encoded_for)
        session.run(staging.creating_parts(staged, logged=True))
        partitions = [partition for partition in partitions_of(session, target) if partition.bound != DEFAULT]
    try:
        _create_leaves(session, staged, target, partitions)
    except BaseException:
        staging.discard(session, staged)
        raise


def _create_leaves(session: Session, staged: Staging, target: TableName, partitions: Sequence[Partition]) -> None:
    """Create the tables beside the partitions, some in each transaction. One that is dropped meanwhile has none.

    While such a transaction holds the table in ACCESS SHARE mode, nobody can drop or detach a partition of it.
    """
    for start in range(0, len(partitions), _BATCH):
        with session.transaction(), exact_forms(session):
            session.run(f"LOCK TABLE ONLY {target.quoted} IN ACCESS SHARE MODE")
            some = enumerate(partitions[start : start + _BATCH], start + 1)
            create_leaves(session, staged, {f"{staged.rows.name}_{number}": partition for number, partition in some})


def create_leaves(session: Session, staged: Staging, beside: Mapping[str, Partition]) -> None:
    """Create tables beside the partitions that still exist, by their names, in two round trips."""
    rows = session.run(_STORED, [partition.oid for partition in beside.values()])
    stored = {oid: others for oid, *others in rows}
    statements = [
        _create_leaf(staged, partition, partition.name.sibling(name).quoted, stored[partition.oid])
        for name, partition in beside.items()
        if partition.oid in stored
    ]
    if statements:
        session.run("; ".join(statements))


_STORED = """
SELECT c.oid::bigint, c.relpersistence::text, m.amname, s.spcname, c.reloptions, t.reloptions FROM pg_class c
LEFT JOIN pg_am m ON m.oid = c.relam LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = ANY (%s::oid[])
"""


def _create_root(session: Session, staged: Staging, target: TableName) -> None:
    root = staged.rows.quoted
    found = session.run(
        "SELECT pg_get_partkeydef(partrelid), partstrat <> 'h' FROM pg_partitioned_table "
        "WHERE partrelid = to_regclass(%s)",
        target.quoted,
    )
    if not found:
        raise LoadError(f"{target} is not partitioned any more.", "Nothing was loaded. Run the load again.")
    key, has_default = found[0]
    session.run(f"CREATE TABLE {root} (LIKE {target.quoted} INCLUDING DEFAULTS INCLUDING GENERATED) PARTITION BY {key}")
    identities = session.run(
        "SELECT attname, pg_get_serial_sequence(%s, attname) FROM pg_attribute "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND attidentity <> ''",
        target.quoted,
        target.quoted,
    )
    for column, sequence in identities:
        session.run(
            f"ALTER TABLE {root} ALTER COLUMN {quote_name(column)} "
            f"SET DEFAULT pg_catalog.nextval({quote_literal(sequence)}::pg_catalog.regclass)"
        )
    if has_default:
        _create_stray(session, staged, target)
    publications = publications_of(session, staged.rows) or publications_of(session, stray(staged))
    if publications:
        raise LoadError(
            f"Tables that are created in this schema are published by {', '.join(publications)}: its subscribers would "
            f"get the rows under another name, and the partitions of {target} would not be replaced there.",
            "Use --mode overwrite with --overwrite-where.",
        )


_LIKE = "INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING COMPRESSION INCLUDING COMMENTS"


def _create_leaf(staged: Staging, partition: Partition, name: str, stored: Sequence[Any]) -> str:
    """Return the statements that create the table beside a partition."""
    if partition.kind != "r":  # foreign or partitioned: a row that goes there is refused
        return f"CREATE TABLE {name} PARTITION OF {staged.rows.quoted} {partition.bound}"
    persistence, method, space, options, toast_options = stored
    settings = {**options_of(options), **options_of(toast_options, "toast."), "autovacuum_enabled": "false"}
    written = ", ".join(f"{option} = {quote_literal(value)}" for option, value in settings.items())
    kind = "UNLOGGED TABLE" if persistence == "u" else "TABLE"
    where = f" TABLESPACE {quote_name(space)}" if space else ""
    return (
        f"CREATE {kind} {name} (LIKE {partition.name.quoted} {_LIKE}) USING {quote_name(method)} "
        f"WITH ({written}){where}; ALTER TABLE {staged.rows.quoted} ATTACH PARTITION {name} {partition.bound}"
    )


def _create_stray(session: Session, staged: Staging, target: TableName) -> None:
    """Create the table for rows without a partition, such that it can become a new partition."""
    name = stray(staged).quoted
    where = new.storage_of(session, target)
    session.run(
        f"CREATE TABLE {name} (LIKE {target.quoted} {_LIKE}){where.method} WITH (autovacuum_enabled = 'false')"
        f"{where.space}; ALTER TABLE {staged.rows.quoted} ATTACH PARTITION {name} DEFAULT"
    )


def options_of(texts: list[str] | None, prefix: str = "") -> dict[str, str]:
    """Return the storage options in pg_class's reloptions, by name."""
    pairs = [text.partition("=") for text in texts or ()]
    return {prefix + name: value for name, _, value in pairs}


def filled(session: Session, staged: Staging) -> list[tuple[Partition, int]]:
    """Return the tables that have rows, and how many. Call this within `exact_forms`."""
    counted = session.run(f"SELECT tableoid::bigint, count(*) FROM {staged.rows.quoted} GROUP BY 1")
    rows = {int(oid): int(count) for oid, count in counted}
    return [(table, rows[table.oid]) for table in partitions_of(session, staged.rows) if table.oid in rows]
