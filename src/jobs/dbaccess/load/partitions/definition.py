"""What a partition is, besides its rows: all that the table which replaces it has to have, too.

It is read before the new table is completed, and again when the partition is locked: if somebody changed it in between,
the two differ.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from jobs.dbaccess.load.partitions.catalog import Partition
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Column:
    """A column: what tables that are exchanged have to have in common."""

    name: str
    type_name: str
    collation: int
    required: bool
    generated: str
    default: str


@dataclass(frozen=True)
class Tuned:
    """The settings of a column: its target of statistics (-1 for the default), and its options."""

    column: str
    statistics: int
    options: tuple[str, ...]


@dataclass(frozen=True)
class Statistics:
    """Extended statistics.

    Attributes:
        kinds: As in CREATE STATISTICS; empty for those of a single expression.
        columns: Likewise, with expressions.
        target: Their target, or -1 for the default.
    """

    name: TableName
    kinds: str
    columns: str
    owner: str
    target: int
    comment: str


@dataclass(frozen=True)
class Check:
    """A CHECK constraint."""

    name: str
    definition: str
    comment: str


@dataclass(frozen=True)
class Index:
    """An index, and the constraint that it implements, if any.

    Attributes:
        prefix: What precedes USING in its definition, with its name and its table's.
        kind: The contype of its constraint in pg_constraint ("p", "u" or "x"), or "".
        by_constraint: Whether only the constraint's definition can create it.
        options: Storage options that are not in that definition.
        statistics: The numbers of columns with a target of statistics, and the targets.
    """

    name: str
    is_unique: bool
    prefix: str
    definition: str
    tablespace: str
    kind: str
    constraint: str
    by_constraint: bool
    options: str
    deferrable: bool
    deferred: bool
    clustered: bool
    identifies: bool
    comment: str
    constraint_comment: str
    statistics: tuple[tuple[int, int], ...]


@dataclass(frozen=True, order=True)
class Grant:
    """A privilege on the table, or on one of its columns (else ""). The grantee "" is PUBLIC."""

    column: str
    privilege: str
    grantee: str
    grantable: bool


@dataclass(frozen=True)
class Definition:
    """A partition's definition.

    Attributes:
        constraint: What the partition's bound, and the bounds above it, demand of a row.
        autovacuum: The storage option autovacuum_enabled, or "" if it is not set.
        identity: The relreplident in pg_class.
        copied: What the table beside it got when it was made. Each text names one thing and, after a colon,
            says what it is.
        sequences: The sequences that its columns own: the quoted name, and the column.
    """

    partition: Partition
    constraint: str
    owner: str
    options: tuple[str, ...]
    identity: str
    row_security: bool
    force_row_security: bool
    comment: str
    columns: tuple[Column, ...]
    tuned: tuple[Tuned, ...]
    copied: tuple[str, ...]
    statistics: tuple[Statistics, ...]
    checks: tuple[Check, ...]
    indexes: tuple[Index, ...]
    grants: tuple[Grant, ...]
    sequences: tuple[tuple[str, str], ...]

    @property
    def autovacuum(self) -> str:
        """The storage option autovacuum_enabled, or "" if it is not set."""
        return next((text.partition("=")[2] for text in self.options if text.startswith("autovacuum_enabled=")), "")


_TABLE = """
SELECT coalesce(pg_get_partition_constraintdef(oid), ''), pg_get_userbyid(relowner), coalesce(reloptions, '{}'),
    relreplident::text, relrowsecurity, relforcerowsecurity, coalesce(obj_description(oid, 'pg_class'), '')
FROM pg_class WHERE oid = %s::oid
"""

_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attcollation::bigint, attnotnull, attgenerated::text,
    coalesce(pg_get_expr(adbin, adrelid), '')
FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)
WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped ORDER BY attname
"""

_TUNED = """
SELECT attname, coalesce(attstattarget, -1)::int, coalesce(attoptions, '{}') FROM pg_attribute
WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped
AND (coalesce(attstattarget, -1) >= 0 OR attoptions IS NOT NULL) ORDER BY attname
"""

# The other options are those with which the table was made.
_COPIED = """
SELECT concat_ws(' ', 'storage:', c.relpersistence, m.amname, s.spcname)
FROM pg_class c JOIN pg_am m ON m.oid = c.relam
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = %s::oid
UNION ALL SELECT 'option ' || replace(option, '=', ': ') FROM pg_class c, unnest(c.reloptions) AS option
WHERE c.oid = %s::oid AND option NOT LIKE 'autovacuum_enabled=%%'
UNION ALL SELECT 'option toast.' || replace(option, '=', ': ')
FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid,
    unnest(t.reloptions) AS option WHERE c.oid = %s::oid
UNION ALL SELECT concat_ws(' ', 'column', attname || ':', attstorage, attcompression, col_description(attrelid, attnum))
FROM pg_attribute WHERE attrelid = %s::oid AND attnum > 0 AND NOT attisdropped
ORDER BY 1
"""

_STATISTICS = """
SELECT s.stxname, n.nspname, array_to_string(ARRAY(SELECT CASE kind WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN
    'dependencies' ELSE 'mcv' END FROM unnest(s.stxkind) AS kind WHERE kind IN ('d', 'f', 'm')), ', '),
    pg_get_statisticsobjdef_columns(s.oid), pg_get_userbyid(s.stxowner), coalesce(s.stxstattarget, -1)::int,
    coalesce(obj_description(s.oid, 'pg_statistic_ext'), '')
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.stxrelid = %s::oid ORDER BY s.oid
"""

_CHECKS = """
SELECT conname, regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', ''),
    coalesce(obj_description(oid, 'pg_constraint'), '')
FROM pg_constraint WHERE conrelid = %s::oid AND contype = 'c' ORDER BY conname
"""

# Invalid indexes are left out, but for one that is attached: ATTACH PARTITION would build it while the table is locked.
# The text of an index begins with its own name and that of its table; what follows is the same for another table.
_INDEXES = """
SELECT c.relname, i.indisunique,
    'CREATE ' || CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END || 'INDEX ' || quote_ident(c.relname) || ' ON '
        || quote_ident(n.nspname) || '.' || quote_ident(t.relname) || ' ',
    pg_get_indexdef(c.oid), coalesce(s.spcname, ''), coalesce(k.contype::text, ''),
    coalesce(pg_get_constraintdef(k.oid), ''), coalesce(k.contype = 'x' OR a.amname <> 'btree', false),
    CASE WHEN k.contype <> 'x' AND a.amname <> 'btree'
        THEN coalesce(array_to_string(c.reloptions, ', '), '') ELSE '' END,
    coalesce(k.condeferrable, false), coalesce(k.condeferred, false), i.indisclustered, i.indisreplident,
    coalesce(obj_description(c.oid, 'pg_class'), ''), coalesce(obj_description(k.oid, 'pg_constraint'), ''),
    ARRAY(SELECT ARRAY[attnum, attstattarget]::int[] FROM pg_attribute
        WHERE attrelid = c.oid AND attstattarget >= 0 ORDER BY attnum)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = %s::oid AND (i.indisvalid OR EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid))
ORDER BY c.relname
"""

_GRANTS = """
SELECT '', privilege_type, coalesce(rolname, ''), bool_or(is_grantable)
FROM pg_class, aclexplode(coalesce(relacl, acldefault('r', relowner))) LEFT JOIN pg_roles r ON r.oid = grantee
WHERE pg_class.oid = %s::oid GROUP BY 1, 2, 3
UNION ALL
SELECT attname, privilege_type, coalesce(rolname, ''), bool_or(is_grantable)
FROM pg_attribute, aclexplode(attacl) LEFT JOIN pg_roles r ON r.oid = grantee
WHERE attrelid = %s::oid AND NOT attisdropped GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

_SEQUENCES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), a.attname FROM pg_depend d
JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON (a.attrelid, a.attnum) = (d.refobjid, d.refobjsubid)
WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s::oid
AND d.deptype = 'a' AND c.relkind = 'S' ORDER BY 1
"""


def read(session: Session, partition: Partition) -> Definition:
    """Return the definition of a partition. Call this within `exact_forms`."""
    oid = partition.oid
    [constraint, owner, options, identity, secured, forced, comment] = session.row(7, _TABLE, oid)
    return Definition(
        partition=partition,
        constraint=constraint,
        owner=owner,
        options=tuple(options),
        identity=identity,
        row_security=secured,
        force_row_security=forced,
        comment=comment,
        columns=columns_of(session, oid),
        tuned=tuple(Tuned(name, target, tuple(texts)) for name, target, texts in session.run(_TUNED, oid)),
        copied=copied(session, oid),
        statistics=tuple(
            Statistics(TableName(name, schema), *others) for name, schema, *others in session.run(_STATISTICS, oid)
        ),
        checks=tuple(Check(*row) for row in session.run(_CHECKS, oid)),
        indexes=tuple(_index(row) for row in session.run(_INDEXES, oid)),
        grants=grants_of(session, oid),
        sequences=tuple((name, column) for name, column in session.run(_SEQUENCES, oid)),
    )


def _index(row: list[Any]) -> Index:
    *others, statistics = row
    values = dict(zip(_INDEX, others))
    return Index(**values, statistics=tuple((number, target) for number, target in statistics or ()))


_INDEX = [field.name for field in fields(Index)]


def columns_of(session: Session, oid: int) -> tuple[Column, ...]:
    """Return the columns of a table, by their names: their order may differ."""
    return tuple(Column(*row) for row in session.run(_COLUMNS, oid))


def copied(session: Session, oid: int) -> tuple[str, ...]:
    """Return what the table beside a partition got when it was made, and what cannot be altered in it cheaply."""
    return tuple(text for [text] in session.run(_COPIED, oid, oid, oid, oid))


def grants_of(session: Session, oid: int) -> tuple[Grant, ...]:
    """Return the privileges on a table and its columns, also those that its owner has by default."""
    return tuple(sorted(Grant(*row) for row in session.run(_GRANTS, oid, oid)))
