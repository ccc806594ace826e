"""Unique indexes of a table: on which keys there is one, and which values of them it takes for equal."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


def has_unique_index(session: Session, table: TableName, keys: Sequence[str]) -> bool:
    """Return whether ON CONFLICT can use these keys: a unique index on exactly them, neither partial nor deferrable.

    A deferrable constraint on them spoils it beside another unique index, too: ON CONFLICT would use both, and fails.
    An index does not count if it keeps apart what its column takes for equal: rows that are compared outside of the
    index would be other ones than those in conflict.
    """
    of_keys = _immediate_by_columns(session, table, keys)
    return bool(of_keys) and all(of_keys.values())


def deferrable_constraint(session: Session, table: TableName, keys: Sequence[str] = ()) -> str:
    """Return the name of a deferrable constraint on which ON CONFLICT fails; empty if there is none.

    Args:
        session: A session.
        table: The table, which exists.
        keys: Those that ON CONFLICT names. If it names none, a constraint of any columns, or of a partition, matters.
    """
    if keys:
        of_keys = _immediate_by_columns(session, table, keys)
        return next((name for name, is_immediate in of_keys.items() if not is_immediate), "")
    name = session.value(
        "SELECT min(conname::text) FROM pg_constraint WHERE condeferrable AND contype IN ('p', 'u', 'x') "
        "AND (conrelid = to_regclass(%s) OR conrelid IN (SELECT relid FROM pg_partition_tree(to_regclass(%s))))",
        table.quoted,
        table.quoted,
    )
    return str(name or "")


def _immediate_by_columns(session: Session, table: TableName, keys: Sequence[str]) -> dict[str, bool]:
    """Return the unique indexes on exactly these columns, by name, and whether they are checked at once."""
    indexes = session.run(
        "SELECT c.relname, i.indimmediate, array_agg(a.attname::text) "
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND i.indisvalid "
        f"AND i.indpred IS NULL AND i.indexprs IS NULL AND NOT EXISTS ({_KEPT_APART}) "
        "GROUP BY c.oid, c.relname, i.indimmediate ORDER BY c.relname",
        table.quoted,
    )
    return {name: is_immediate for name, is_immediate, columns in indexes if sorted(columns) == sorted(keys)}


_KEPT_APART = (
    "SELECT FROM unnest(i.indkey::int2[], i.indcollation::oid[]) AS k (attnum, coll) "
    "JOIN pg_attribute b ON b.attrelid = i.indrelid AND b.attnum = k.attnum AND b.attcollation <> k.coll "
    "JOIN pg_collation l ON l.oid = b.attcollation WHERE NOT l.collisdeterministic"
)
"""The columns of an index i with another collation than theirs, which takes different texts for equal."""


def equalities(session: Session, table: TableName, keys: Sequence[str]) -> dict[str, str]:
    """Return the operators, qualified, by which a unique index of the table compares the key columns.

    For columns of no unique index, they are those of the type's default B-tree, or else pg_catalog's.
    """
    by_type = session.run(_EQUALITY_BY_TYPE, table.quoted, list(keys))
    by_index = session.run(
        "SELECT a.attname, n.nspname, o.oprname FROM pg_index i "
        "CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) AS k (attnum, opclass) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum "
        f"JOIN pg_opclass c ON c.oid = k.opclass {_EQUALITY_OF_CLASS} "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND a.attname = ANY (%s::text[])",
        table.quoted,
        list(keys),
    )
    default = dict.fromkeys(keys, 'OPERATOR("pg_catalog".=)')
    found = {name: f"OPERATOR({quote_name(schema)}.{operator})" for name, schema, operator in by_type + by_index}
    return {**default, **found}


def respelled(session: Session, table: TableName, keys: Sequence[str]) -> tuple[str, ...]:
    """Return those of some columns whose values may be equal and differ: 1.0 and 1.00, or two spellings of a citext.

    The others have types whose B-tree says that equal values are the same bytes, by its support function 4, and no
    collation that takes different texts for equal.
    https://www.postgresql.org/docs/current/btree.html#BTREE-SUPPORT-FUNCS
    """
    same = session.run(
        "SELECT a.attname FROM pg_index i "
        "CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[]) "
        "AS k (attnum, opclass, ordered_by) LEFT JOIN pg_collation l ON l.oid = k.ordered_by "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum JOIN pg_opclass c ON c.oid = k.opclass "
        "JOIN pg_amproc p ON p.amprocfamily = c.opcfamily AND p.amproclefttype = c.opcintype "
        "AND p.amprocrighttype = c.opcintype AND p.amprocnum = 4 "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND a.attname = ANY (%s::text[]) "
        "AND l.collisdeterministic IS NOT FALSE",
        table.quoted,
        list(keys),
    )
    return tuple(key for key in keys if [key] not in same)


def taken_for_equal(session: Session, table: TableName, keys: Sequence[str]) -> tuple[str, ...]:
    """Return those of some columns of which a unique index takes different texts for equal, by its collation."""
    found = session.run(
        "SELECT DISTINCT a.attname FROM pg_index i "
        "CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[]) AS k (attnum, coll) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum JOIN pg_collation l ON l.oid = k.coll "
        "WHERE i.indrelid = to_regclass(%s) AND i.indisunique AND a.attname = ANY (%s::text[]) "
        "AND NOT l.collisdeterministic ORDER BY 1",
        table.quoted,
        list(keys),
    )
    return tuple(name for [name] in found)


_EQUALITY_OF_CLASS = (
    "JOIN pg_amop m ON m.amopfamily = c.opcfamily "
    "AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype AND m.amopstrategy = 3 "
    "JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace"
)


_EQUALITY_BY_TYPE = f"""
WITH RECURSIVE base AS (
    SELECT a.attname, t.oid, t.typtype, t.typbasetype FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND a.attname = ANY (%s::text[])
    UNION ALL
    SELECT base.attname, t.oid, t.typtype, t.typbasetype
    FROM base JOIN pg_type t ON t.oid = base.typbasetype WHERE base.typtype = 'd'
)
SELECT base.attname, n.nspname, o.oprname FROM base JOIN pg_opclass c ON c.opcintype = base.oid AND c.opcdefault
JOIN pg_am ON pg_am.oid = c.opcmethod AND pg_am.amname = 'btree' {_EQUALITY_OF_CLASS} WHERE base.typtype <> 'd'
"""
