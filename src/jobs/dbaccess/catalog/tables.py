"""Tables and their columns, as in the server's catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobs.dbaccess.catalog.kinds import kind_of
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        type_name: The type as SQL writes it, with its length or precision: "character varying(10)".
        base_type: pg_type's own name, with domains resolved: "varchar", "int4", "_int4" for an array.
        category: pg_type's typcategory ("S" for every kind of text, including an extension's).
        required: Whether each row must contain a value: the column or its domain is NOT NULL, and no default of either,
            no identity or expression, and no BEFORE INSERT trigger can supply one.
        element, element_category: The same for the elements of an array; empty for other types.
        generated: Whether only the server sets the value (an expression, or GENERATED ALWAYS AS IDENTITY).
        identity: pg_attribute's attidentity: IDENTITY_ALWAYS, "d" for BY DEFAULT, or empty.
        kind: One of `kinds`: that of the type, or of the elements of an array; empty for other types.
        collation: As a statement names it; empty for none, and for the database's own.
        fields: Of a composite type, or of one that an array has as elements: its fields in their order.
        delimiter: What divides the elements of an array: a semicolon for boxes, a colon for geometries.
    """

    name: str
    type_name: str
    base_type: str
    category: str
    required: bool = False
    generated: bool = False
    element: str = ""
    element_category: str = ""
    identity: str = ""
    kind: str = ""
    collation: str = ""
    fields: tuple[Column, ...] = ()
    delimiter: str = ","

    @property
    def definition(self) -> str:
        """The type in a statement on the user's own search path: those that are no keywords of SQL are qualified."""
        return f"pg_catalog.{self.type_name}" if self.type_name.rstrip("[]") in _NO_KEYWORDS else self.type_name


IDENTITY_ALWAYS = "a"
"""The attidentity of a column that is GENERATED ALWAYS AS IDENTITY."""

_NO_KEYWORDS = frozenset({"bytea", "date", "json", "jsonb", "text"})


@dataclass(frozen=True)
class Table:
    """An existing table or view, under its full name.

    Attributes:
        kind: pg_class's relkind: "r" table, "p" partitioned table, "v" view, "f" foreign table.
    """

    name: TableName
    kind: str
    columns: tuple[Column, ...]


_COLUMNS = f"""
WITH RECURSIVE base AS (
    SELECT a.attnum, t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory, t.typelem,
        a.attnotnull OR t.typnotnull AS not_null, a.atthasdef OR t.typdefault IS NOT NULL AS has_default
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = %s::oid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT base.attnum, t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory, t.typelem,
        base.not_null OR t.typnotnull, base.has_default
    FROM base JOIN pg_type t ON t.oid = base.typbasetype
    WHERE base.typtype = 'd'
)
SELECT a.attname, format_type(a.atttypid, a.atttypmod), base.typname, base.typcategory,
    base.not_null AND NOT base.has_default AND a.attidentity = '' AND NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgenabled <> 'D' AND tgtype & 7 = 7 AND tgrelid IN (
            SELECT a.attrelid UNION SELECT relid FROM pg_partition_tree(a.attrelid)
        )
    ), a.attgenerated <> '' OR a.attidentity = 'a',
    coalesce(element.typname, ''), coalesce(element.typcategory, ''), a.attidentity::text,
    {kind_of("stored")},
    coalesce((
        SELECT quote_ident(nspname) || '.' || quote_ident(collname) FROM pg_collation c
        JOIN pg_namespace n ON n.oid = c.collnamespace WHERE c.oid = a.attcollation AND collname <> 'default'
    ), ''), stored.typdelim::text, stored.typrelid
FROM pg_attribute a JOIN base USING (attnum)
LEFT JOIN LATERAL (
    WITH RECURSIVE below AS (
        SELECT oid, typtype, typbasetype, typname, typcategory FROM pg_type
        WHERE base.typcategory = 'A' AND oid = base.typelem
        UNION ALL
        SELECT t.oid, t.typtype, t.typbasetype, t.typname, t.typcategory
        FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd'
    )
    SELECT oid, typname, typcategory FROM below WHERE typtype <> 'd'
) element ON true
JOIN pg_type stored ON stored.oid = coalesce(element.oid, base.oid)
WHERE a.attrelid = %s::oid AND base.typtype <> 'd'
ORDER BY a.attnum
"""


# In pg_trigger's tgtype, 7 are the bits of FOR EACH ROW, BEFORE and INSERT.


def find_table(session: Session, name: TableName) -> Table | None:
    """Return the table with a name (looked up in search_path if it has no schema), or None."""
    with session.users_path():
        oid = session.value("SELECT pg_catalog.to_regclass(%s)::pg_catalog.oid", name.quoted)
    if oid is None:
        return None
    found = session.run(
        "SELECT n.nspname, c.relname, c.relkind::text "
        "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s::oid",
        oid,
    )
    if not found:  # it was dropped since
        return None
    [[schema, relname, kind]] = found
    return Table(TableName(relname, schema), kind, _columns_of(session, oid))


def _columns_of(session: Session, relation: int) -> tuple[Column, ...]:
    """Return the columns of a table, or the fields of a composite type, which never contains itself."""
    return tuple(
        replace(Column(*described), fields=_columns_of(session, composite) if composite else (), delimiter=delimiter)
        for *described, delimiter, composite in session.run(_COLUMNS, relation, relation)
    )


def full_name(session: Session, name: TableName) -> TableName:
    """Return the name with its schema: that of the existing table, else that in which the table would be created.

    Both are looked up in the user's search_path. If neither the name nor search_path has a schema, neither has the
    result.
    """
    with session.users_path():
        found = session.run(
            "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n "
            "ON n.oid OPERATOR(pg_catalog.=) c.relnamespace "
            "WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid",
            name.quoted,
        )
    if not found:
        return name_for_new_table(session, name)
    [[schema, relname]] = found
    return TableName(relname, schema)


def name_for_new_table(session: Session, name: TableName) -> TableName:
    """Return the full name that a new table gets: in the given schema, else in the first existing of search_path."""
    if name.schema is not None:
        return name
    with session.users_path():
        schema = session.value("SELECT pg_catalog.current_schema()")
    return TableName(name.name, schema)


def schema_exists(session: Session, schema: str) -> bool:
    """Return whether a schema of that name exists."""
    return bool(session.run("SELECT 1 FROM pg_namespace WHERE nspname = %s", schema))


def is_logged(session: Session, table: TableName) -> bool:
    """Return whether a table survives a crash: it is neither unlogged nor temporary."""
    query = "SELECT relpersistence::text FROM pg_class WHERE oid = to_regclass(%s)"
    return session.run(query, table.quoted) == [["p"]]


def survives_crash(session: Session, table: TableName) -> bool:
    """Return whether all rows of a table survive a crash: neither it nor a partition of it is unlogged or temporary."""
    rows = session.run(
        "SELECT bool_and(relpersistence = 'p') FROM pg_class WHERE oid = to_regclass(%s)::oid "
        "OR oid IN (SELECT relid FROM pg_partition_tree(to_regclass(%s)))",
        table.quoted,
        table.quoted,
    )
    return rows == [[True]]


def may_alter(session: Session, table: TableName) -> bool:
    """Return whether this user may add columns: to a table, by its owner, a member of the owner, or a superuser."""
    return bool(
        session.run(
            "SELECT 1 FROM pg_class WHERE oid = to_regclass(%s) AND relkind IN ('r', 'p', 'f') "
            "AND pg_has_role(relowner, 'USAGE')",
            table.quoted,
        )
    )


PARTITIONED, VIEW, FOREIGN = "p", "v", "f"
"""The relkinds in pg_class."""


def has_children(session: Session, table: TableName) -> bool:
    """Return whether other tables inherit from a table that is not partitioned."""
    query = (
        "SELECT 1 FROM pg_class c WHERE c.oid = to_regclass(%s) AND c.relkind <> %s "
        "AND EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid)"
    )
    return bool(session.run(query, table.quoted, PARTITIONED))


def partition_columns(session: Session, table: TableName) -> list[str | None]:
    """Return the columns of a table's partition key, None for an expression; empty if it is not partitioned."""
    found = session.run(
        "SELECT attname::text FROM pg_partitioned_table CROSS JOIN unnest(partattrs::int2[]) WITH ORDINALITY AS k "
        "(number, place) LEFT JOIN pg_attribute ON (attrelid, attnum) = (partrelid, number) "
        "WHERE partrelid = to_regclass(%s) ORDER BY place",
        table.quoted,
    )
    return [name for [name] in found]


def nullable_keys(session: Session, table: TableName, keys: Sequence[str]) -> list[str]:
    """Return the keys that may be NULL. A NULL key matches no row."""
    nullable = session.run(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attnotnull",
        table.quoted,
    )
    return [key for key in keys if [key] in nullable]


def primary_key(session: Session, table: TableName) -> list[str]:
    """Return the columns of a table's primary key; empty if it has none."""
    rows = session.run(
        "SELECT attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisprimary ORDER BY attnum",
        table.quoted,
    )
    return [name for [name] in rows]


def array_dimensions(session: Session, table: TableName) -> dict[str, int]:
    """Return the declared dimensions of columns that are arrays. PostgreSQL itself does not enforce them."""
    rows = session.run(
        "SELECT attname, greatest(attndims, typndims)::int FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid "
        "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND greatest(attndims, typndims) > 0",
        table.quoted,
    )
    return {str(name): int(dimensions) for name, dimensions in rows}
