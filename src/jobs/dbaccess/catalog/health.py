"""What a load asks of the server before it starts: settings that matter, and the privileges of the role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names


@dataclass(frozen=True)
class Health:
    """The server, as far as loads depend on it.

    Attributes:
        version: server_version_num, 150004 for 15.4.
        in_recovery: Whether it is a standby.
        read_only: Whether transactions are read-only by default.
        max_wal_size: Megabytes between two checkpoints.
        wal_level: As set.
        max_connections: As set; some of them are reserved.
        role: The role of the session.
        limits: Time limits that end statements or sessions of this role, by name, in milliseconds: those that are set.
        publications: Publications FOR ALL TABLES: each staging table that is logged is replicated by them.
    """

    version: int
    in_recovery: bool
    read_only: bool
    max_wal_size: int
    wal_level: str
    max_connections: int
    role: str
    limits: Mapping[str, int]
    publications: tuple[str, ...]


LIMITS = ("statement_timeout", "transaction_timeout")
"""Settings that end what takes long. Some versions do not have all of them."""


def health(session: Session) -> Health:
    """Read them from the server."""
    [version, in_recovery, read_only, max_wal_size, wal_level, max_connections, role] = session.row(
        7,
        "SELECT current_setting('server_version_num')::int4, pg_is_in_recovery(), "
        "current_setting('default_transaction_read_only')::bool, "
        "(SELECT setting::int8 FROM pg_settings WHERE name = 'max_wal_size'), "
        "current_setting('wal_level'), current_setting('max_connections')::int4, current_user::text",
    )
    limits = session.run(
        "SELECT name, setting::int8 FROM pg_settings WHERE name = ANY (%s::text[]) AND setting::int8 > 0 ORDER BY 1",
        list(LIMITS),
    )
    names = session.run("SELECT pubname::text FROM pg_publication WHERE puballtables ORDER BY 1")
    return Health(
        version=version,
        in_recovery=in_recovery,
        read_only=read_only,
        max_wal_size=max_wal_size,
        wal_level=wal_level,
        max_connections=max_connections,
        role=role,
        limits=dict(limits),
        publications=tuple(name for [name] in names),
    )


@dataclass(frozen=True)
class Replication:
    """The standbys of a server, and what waits for them.

    Attributes:
        standbys: How many standbys and other receivers of WAL are connected.
        synchronous: How many of them COMMIT may wait for.
        behind: Bytes of WAL that the last of them has yet to replay; None if this role may not see that.
        awaits: Whether COMMIT waits for a synchronous standby.
        idle_slots: Replication slots without a receiver, and the bytes of WAL that the server keeps for each.
    """

    standbys: int
    synchronous: int
    behind: int | None
    awaits: bool
    idle_slots: Mapping[str, int]


def replication(session: Session) -> Replication:
    """Read them from a server that is no standby."""
    [standbys, synchronous, behind, awaits] = session.row(
        4,
        "SELECT count(*)::int4, (count(*) FILTER (WHERE sync_state IN ('sync', 'quorum')))::int4, "
        "max(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn))::int8, "
        "current_setting('synchronous_standby_names') <> '' "
        "AND current_setting('synchronous_commit') NOT IN ('off', 'local') FROM pg_stat_replication",
    )
    slots = session.run(
        "SELECT slot_name::text, coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::int8 "
        "FROM pg_replication_slots WHERE NOT active ORDER BY 1"
    )
    return Replication(standbys, synchronous, behind, awaits, dict(slots))


@dataclass(frozen=True)
class Privilege:
    """A privilege that a load needs.

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

_HISTORY = "history"
"""The mode that computes in temporary tables."""

OF_MODE = {
    "append": ("INSERT",),
    "upsert": ("INSERT", "UPDATE", "SELECT"),
    "upsert by statements": ("INSERT", "UPDATE", "SELECT"),
    "upsert with deletes": ("INSERT", "UPDATE", "DELETE", "SELECT"),
    _HISTORY: ("INSERT", "UPDATE", "DELETE", "SELECT"),
    "overwrite": ("INSERT", "DELETE", "SELECT"),
    "truncate": ("INSERT", "TRUNCATE", "SELECT"),
    "ignore": ("INSERT",),
    _REPLACE_PARTITIONS: ("SELECT",),
    "diff": ("INSERT", "UPDATE", "DELETE", "SELECT"),
}
"""The privileges on an existing target, by the load's mode, or the strategy that replaces it (docs/load.md). `ignore`
with keys also needs SELECT on these."""

BY_COLUMN = {
    "append": ("INSERT",),
    "upsert": ("INSERT", "UPDATE"),
    "upsert by statements": ("INSERT",),
    "upsert with deletes": ("INSERT", "UPDATE"),
    "overwrite": ("INSERT", "SELECT"),
    "ignore": ("INSERT", "SELECT"),
    "truncate": ("INSERT", "SELECT"),
    "diff": ("INSERT", "UPDATE"),
}
"""Those for which a grant of columns suffices, likewise. An upsert also reads a system column of the rows. LOCK TABLE,
before several statements, takes no grant of columns, and any of UPDATE and DELETE."""


def privileges_on_schema(session: Session, schema: str) -> Iterator[Privilege]:
    """Yield the privileges to create staging tables in an existing schema."""
    for privilege in ("USAGE", "CREATE"):
        granted = session.value("SELECT pg_catalog.has_schema_privilege(%s, %s)", schema, privilege)
        yield Privilege(f"{privilege} on schema {schema}", granted, f"GRANT {privilege} ON SCHEMA {quote_name(schema)}")


def oid_of(session: Session, table: TableName) -> int | None:
    """Return the oid of a table with its schema, or None. Unlike to_regclass, this needs no privilege on the schema."""
    found = session.run(
        "SELECT c.oid::int8 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s",
        table.schema,
        table.name,
    )
    return int(found[0][0]) if found else None


def privileges_on_table(
    session: Session, oid: int, table: TableName, privileges: tuple[str, ...], by_column: tuple[str, ...] = ()
) -> Iterator[Privilege]:
    """Yield these privileges on an existing table. Of those by column, one on any column is enough."""
    for privilege in privileges:
        test = "has_any_column_privilege" if privilege in by_column else "has_table_privilege"
        granted = session.value(f"SELECT pg_catalog.{test}(%s::oid, %s)", oid, privilege)
        yield Privilege(f"{privilege} on {table}", granted, f"GRANT {privilege} ON {table.quoted}")


def privileges_on_columns(
    session: Session, table: TableName, mode: str, columns: Sequence[str], keys: Sequence[str]
) -> Iterator[Privilege]:
    """Yield the privileges on the columns that a load writes or compares, which may be granted for each column.

    Args:
        session: A session of the table's database.
        table: The table, with its schema.
        mode: The load's mode, or its strategy where that is another one than `delete`.
        columns: The columns to which values are given.
        keys: Those that identify a row.
    """
    values = [name for name in columns if name not in keys]
    needed = {"INSERT": columns, "UPDATE": values, "SELECT": keys}
    for privilege in BY_COLUMN.get(mode, ()):
        names = session.run(
            "SELECT name FROM unnest(%s::text[]) WITH ORDINALITY AS column_of (name, place) "
            "WHERE NOT pg_catalog.has_column_privilege(to_regclass(%s)::oid, name, %s) ORDER BY place",
            list(needed[privilege]),
            table.quoted,
            privilege,
        )
        if names:
            lacking = [name for [name] in names]
            what = f"{privilege} on {table} ({', '.join(lacking)})"
            yield Privilege(what, False, f"GRANT {privilege} ({quote_names(lacking)}) ON {table.quoted}")


def _ownership(session: Session, oid: int, table: TableName) -> Privilege:
    [owner, is_member] = session.row(
        2,
        "SELECT pg_get_userbyid(relowner)::text, pg_has_role(relowner, 'USAGE') FROM pg_catalog.pg_class "
        "WHERE oid = %s::oid",
        oid,
    )
    return Privilege(f"ownership of {table}", is_member, f"GRANT {quote_name(owner)}")


def _temporary(session: Session) -> Privilege:
    [database, granted] = session.row(
        2, "SELECT current_database()::text, has_database_privilege(current_database(), 'TEMP')"
    )
    return Privilege(
        f"TEMPORARY on database {database}", granted, f"GRANT TEMPORARY ON DATABASE {quote_name(database)}"
    )


def privileges(session: Session, target: TableName, mode: str, markers: TableName) -> Iterator[Privilege]:
    """Yield the privileges of a load into a table whose schema exists.

    Args:
        session: A session on its database.
        target: The target, with its schema; it may be missing.
        mode: The load's mode, or its strategy where that is another one than `delete`.
        markers: The marker table, with its schema; it may be missing.
    """
    yield from privileges_on_schema(session, str(target.schema))
    existing = oid_of(session, target)
    if existing is not None:
        yield from privileges_on_table(session, existing, target, OF_MODE[mode], BY_COLUMN.get(mode, ()))
        if mode == _REPLACE_PARTITIONS:
            yield _ownership(session, existing, target)
    if mode == _HISTORY:
        yield _temporary(session)
    recorded = oid_of(session, markers)
    if recorded is not None:
        yield from privileges_on_table(session, recorded, markers, ("SELECT", "INSERT"))
    elif markers.schema is not None and markers.schema != target.schema:
        yield from privileges_on_schema(session, markers.schema)


def privileges_on_sequences(session: Session, table: TableName, columns: Sequence[str]) -> Iterator[Privilege]:
    """Yield the privileges on the sequences of the defaults of a table's other columns, as those of a serial.

    Args:
        session: A session of the table's database.
        table: The table, with its schema.
        columns: The columns to which values are given. Their defaults are not used.
    """
    found = session.run(
        "SELECT DISTINCT n.nspname, s.relname, has_sequence_privilege(s.oid, 'USAGE') FROM pg_attrdef d "
        "JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum "
        "JOIN pg_depend p ON p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid "
        "AND p.refclassid = 'pg_class'::regclass JOIN pg_class s ON s.oid = p.refobjid AND s.relkind = 'S' "
        "JOIN pg_namespace n ON n.oid = s.relnamespace "
        "WHERE d.adrelid = to_regclass(%s) AND a.attname <> ALL (%s::text[]) ORDER BY 1, 2",
        table.quoted,
        list(columns),
    )
    for schema, name, granted in found:
        sequence = TableName(name, schema)
        yield Privilege(f"USAGE on sequence {sequence}", granted, f"GRANT USAGE ON SEQUENCE {sequence.quoted}")
