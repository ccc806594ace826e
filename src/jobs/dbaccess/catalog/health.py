"""What a load asks of the server before it starts: settings that matter, and the rights of the role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


@dataclass(frozen=True)
class Health:
    """The server, as far as loads depend on it.

    Attributes:
        version: server_version_num, 150004 for 15.4.
        in_recovery: Whether it is a standby.
        read_only: Whether transactions are read-only by default.
        max_wal_size: Megabytes between two checkpoints.
        publications: Publications FOR ALL TABLES: each staging table that is logged is replicated by them.
        role: The role of the session.
    """

    version: int
    in_recovery: bool
    read_only: bool
    max_wal_size: int
    publications: tuple[str, ...]
    role: str


def health(session: Session) -> Health:
    """Read them from the server."""
    [version, in_recovery, read_only, max_wal_size, role] = session.row(
        5,
        "SELECT pg_catalog.current_setting('server_version_num')::int4, pg_catalog.pg_is_in_recovery(), "
        "pg_catalog.current_setting('default_transaction_read_only')::bool, "
        "(SELECT setting::int8 FROM pg_catalog.pg_settings WHERE name = 'max_wal_size'), "
        "current_user::text",
    )
    names = session.run("SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables ORDER BY 1")
    return Health(
        version=version,
        in_recovery=in_recovery,
        read_only=read_only,
        max_wal_size=max_wal_size,
        publications=tuple(name for [name] in names),
        role=role,
    )


@dataclass(frozen=True)
class Right:
    """A right that a load needs.

    Attributes:
        what: The privilege and the object: INSERT on public.t.
        granted: Whether the role has it.
        grant: The statement that grants it, without the role.
    """

    what: str
    granted: bool
    grant: str


_REPLACE_PARTITIONS = "replace-partitions"
"""The mode that needs the ownership of its target."""

OF_MODE = {
    "append": ("INSERT",),
    "upsert": ("INSERT", "UPDATE", "SELECT"),
    "overwrite": ("INSERT", "DELETE", "SELECT"),
    "ignore": ("INSERT", "SELECT"),
    _REPLACE_PARTITIONS: ("SELECT",),
}
"""The privileges on an existing target, by the load's mode (docs/load.md)."""


def rights_on_schema(session: Session, schema: str) -> Iterator[Right]:
    """Yield the rights to create staging tables in an existing schema."""
    for privilege in ("USAGE", "CREATE"):
        granted = session.value("SELECT pg_catalog.has_schema_privilege(%s, %s)", schema, privilege)
        yield Right(f"{privilege} on schema {schema}", granted, f"GRANT {privilege} ON SCHEMA {quote_name(schema)}")


def oid_of(session: Session, table: TableName) -> int | None:
    """Return the oid of a table with its schema, or None. Unlike to_regclass, this needs no right on the schema."""
    found = session.run(
        "SELECT c.oid::int8 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        table.schema,
        table.name,
    )
    return int(found[0][0]) if found else None


def rights_on_table(session: Session, oid: int, table: TableName, privileges: tuple[str, ...]) -> Iterator[Right]:
    """Yield these rights on an existing table."""
    for privilege in privileges:
        granted = session.value("SELECT pg_catalog.has_table_privilege(%s::oid, %s)", oid, privilege)
        yield Right(f"{privilege} on {table}", granted, f"GRANT {privilege} ON {table.quoted}")


def _ownership(session: Session, oid: int, table: TableName) -> Right:
    [owner, is_member] = session.row(
        2,
        "SELECT pg_get_userbyid(relowner)::text, pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class "
        "WHERE oid = %s::oid",
        oid,
    )
    return Right(f"ownership of {table}", is_member, f"GRANT {quote_name(owner)}")


def rights(session: Session, target: TableName, mode: str, markers: TableName) -> Iterator[Right]:
    """Yield the rights of a load into a table whose schema exists.

    Args:
        session: A session on its database.
        target: The target, with its schema; it may be missing.
        mode: The load's mode.
        markers: The marker table, with its schema; it may be missing.
    """
    yield from rights_on_schema(session, str(target.schema))
    existing = oid_of(session, target)
    if existing is not None:
        yield from rights_on_table(session, existing, target, OF_MODE[mode])
        if mode == _REPLACE_PARTITIONS:
            yield _ownership(session, existing, target)
    recorded = oid_of(session, markers)
    if recorded is not None:
        yield from rights_on_table(session, recorded, markers, ("SELECT", "INSERT"))
    elif markers.schema is not None and markers.schema != target.schema:
        yield from rights_on_schema(session, markers.schema)
