"""Alters a table: what stands in the way is found before anything is copied, and publish changes the columns.

ALTER TABLE keeps out readers, too, until the publishing transaction ends. It is not queued for: an attempt waits half a
second at most, so that readers go on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Column, Table
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.definitions.alterations import NO_ALTERATIONS, SCHEMA_MODE, Alterations, Widened
from jobs.dbaccess.load.partitions import attempts
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

_ALTERED = ("r", tables.PARTITIONED)
"""The relkinds of tables whose columns are changed."""


def check_alterable(session: Session, table: Table, adds: bool) -> None:
    """Check that this user may change columns of a table, as far as that does not depend on which.

    Args:
        session: A session of the table's database.
        table: The table.
        adds: Whether columns are added.

    Raises:
        UsageError: The table is of another kind, belongs to somebody else, or has its columns from elsewhere.
    """
    found = session.run(
        "SELECT relispartition, reloftype <> 0, pg_has_role(relowner, 'USAGE'), pg_get_userbyid(relowner)::text "
        "FROM pg_class WHERE oid = to_regclass(%s)",
        table.name.quoted,
    )
    [is_partition, is_typed, is_owner, owner] = found[0] if found else [False, False, True, ""]
    if table.kind not in _ALTERED:
        raise _refused(f"{table.name} is not a plain or partitioned table", "Change its columns yourself")
    if not is_owner:
        raise _refused(
            f"only its owner {owner} can change the columns of {table.name}",
            "Load as the owner, or have the owner change the columns",
        )
    if is_typed or (is_partition and adds):
        origin = "of a composite type" if is_typed else "a partition, which has the columns of its parent"
        raise _refused(f"{table.name} is {origin}", "Change the columns there")


def without_blocked(session: Session, table: TableName, widened: Sequence[Widened]) -> tuple[Sequence[Widened], str]:
    """Return the columns that can be widened, and why others stay as they are; empty if none do.

    A column of text stays as it is if something depends on it: the data's type says nothing of the length of values.

    Raises:
        UsageError: Something depends on another column, so that its type cannot be changed.
    """
    blocked = _blocked(session, table, [one.before.name for one in widened]) if widened else {}
    needed = [one for one in widened if one.is_needed and one.before.name in blocked]
    if needed:
        reasons = "; ".join(
            f"{one.before.name} is {one.before.type_name}, and the data needs {one.after.type_name}, but "
            f"{' and '.join(blocked[one.before.name])} depends on it"
            for one in needed
        )
        raise _refused(
            f"the server cannot change types of {table}: {reasons}",
            "Drop what depends on the column and make it again afterwards, or cast the data to the column's type by "
            "--select",
        )
    left = "; ".join(
        f"{' and '.join(blocked[one.before.name])} depends on {one.before.name}"
        for one in widened
        if one.before.name in blocked
    )
    return [one for one in widened if one.before.name not in blocked], left


def _refused(reason: str, hint: str) -> UsageError:
    return UsageError(
        f"{SCHEMA_MODE} cannot change the table for the data: {reason}.",
        f"{hint}, or leave {SCHEMA_MODE} out, and load the columns that fit.",
    )


def _blocked(session: Session, table: TableName, names: Sequence[str]) -> Mapping[str, list[str]]:
    """Return, by column, what depends on it, so that ALTER TYPE fails."""
    found = session.run(_BLOCKING, table.quoted, list(names), table.quoted)
    return {name: [what for column, what in found if column == name] for name, _ in found}


_BLOCKING = """
WITH RECURSIVE tree (oid) AS (
    SELECT to_regclass(%s)::oid UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
), found AS (
    SELECT a.attrelid, a.attnum, a.attname::text AS name, a.attinhcount FROM pg_attribute a
    JOIN tree ON tree.oid = a.attrelid WHERE a.attname = ANY (%s::text[]) AND a.attnum > 0
)
SELECT name, CASE d.classid
    WHEN 'pg_rewrite'::regclass THEN (
        SELECT CASE c.relkind WHEN 'v' THEN 'the view ' WHEN 'm' THEN 'the materialized view ' ELSE 'a rule of ' END
            || c.oid::regclass::text
        FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class WHERE r.oid = d.objid)
    WHEN 'pg_attrdef'::regclass THEN (
        SELECT 'the generated column ' || g.attname FROM pg_attrdef f
        JOIN pg_attribute g ON (g.attrelid, g.attnum) = (f.adrelid, f.adnum) WHERE f.oid = d.objid)
    WHEN 'pg_class'::regclass THEN 'the generated ' || pg_describe_object(d.classid, d.objid, d.objsubid)
    ELSE 'the ' || pg_describe_object(d.classid, d.objid, d.objsubid) END
FROM found JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND (d.refobjid, d.refobjsubid) = (attrelid, attnum)
WHERE d.classid IN ('pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_trigger'::regclass, 'pg_proc'::regclass,
        'pg_publication_rel'::regclass)
    OR d.classid = 'pg_class'::regclass AND d.objid = d.refobjid AND d.objsubid <> 0
    OR d.classid = 'pg_attrdef'::regclass
        AND NOT EXISTS (SELECT FROM pg_attrdef f WHERE f.oid = d.objid AND (f.adrelid, f.adnum) = (attrelid, attnum))
UNION SELECT name, 'the partition key of ' || attrelid::regclass::text
FROM found JOIN pg_partitioned_table ON partrelid = attrelid
JOIN pg_depend k ON k.classid = 'pg_class'::regclass AND (k.objid, k.objsubid) = (attrelid, attnum)
    AND k.refclassid = 'pg_class'::regclass AND (k.refobjid, k.refobjsubid) = (attrelid, 0) AND k.deptype = 'i'
UNION SELECT name, CASE attrelid WHEN to_regclass(%s) THEN 'the parent of the table'
    ELSE 'another parent of ' || attrelid::regclass::text END
FROM found WHERE attinhcount > (
    SELECT count(*) FROM pg_inherits JOIN tree ON inhparent = tree.oid WHERE inhrelid = attrelid)
UNION SELECT name,
    'the column ' || u.attname || ' of ' || u.attrelid::regclass::text || ', which stores rows of the table,'
FROM found JOIN pg_class c ON c.oid = attrelid JOIN pg_type y ON y.oid = c.reltype
JOIN pg_attribute u ON u.atttypid IN (y.oid, y.typarray) AND u.attnum > 0 AND NOT u.attisdropped
JOIN pg_class o ON o.oid = u.attrelid AND o.relkind IN ('r', 'p', 'm')
ORDER BY 1, 2
"""


def check_children(session: Session, table: TableName, added: Sequence[Column]) -> None:
    """Check that no child table has a column of the same name as one that is added, and of another type.

    Raises:
        UsageError: One has. ALTER TABLE would refuse it.
    """
    names = {column.name: column for column in added}
    found = session.run(_HAVING, table.quoted, list(names))
    unlike = [
        f"{one} of {child}, which is {there.type_name}, and would be {names[one].type_name}"
        for child, one in ((TableName(relation, schema), name) for schema, relation, name in found)
        for there in _columns(session, child)
        if there.name == one and _shape(there) != _shape(names[one])
    ]
    if unlike:
        raise UsageError(
            f"{', '.join(names)} cannot be added to {table}: its child table has a column of this name and of another "
            f"type: {'; '.join(unlike)}.",
            "Rename that one, or give the column its type, or leave the column out by --select.",
        )


def _columns(session: Session, table: TableName) -> Sequence[Column]:
    found = tables.find_table(session, table)
    return () if found is None else found.columns


def _shape(column: Column) -> tuple[str, str]:
    return column.type_name, column.collation


_HAVING = """
WITH RECURSIVE tree (oid) AS (
    SELECT inhrelid FROM pg_inherits WHERE inhparent = to_regclass(%s)
    UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
)
SELECT n.nspname, c.relname, a.attname FROM tree JOIN pg_class c ON c.oid = tree.oid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
WHERE a.attname = ANY (%s::text[]) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2, 3
"""


def restoring(session: Session, table: TableName, widened: Sequence[Widened]) -> tuple[str, ...]:
    """Return statements that restore what ALTER TYPE resets: how values are stored out of line, and compressed.

    Partitions and child tables have settings of their own.
    """
    found = session.run(_STORING, table.quoted, [one.before.name for one in widened])
    return tuple(
        f"ALTER TABLE ONLY {TableName(relation, schema).quoted} "
        + ", ".join(f"ALTER COLUMN {quote_name(name)} {setting}" for setting in settings)
        for schema, relation, name, settings in found
    )


_STORING = """
WITH RECURSIVE tree (oid) AS (
    SELECT to_regclass(%s)::oid UNION SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid
)
SELECT n.nspname, c.relname, a.attname, array_remove(ARRAY[
    CASE WHEN a.attstorage <> t.typstorage THEN 'SET STORAGE ' || CASE a.attstorage
        WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
    CASE a.attcompression WHEN 'p' THEN 'SET COMPRESSION pglz' WHEN 'l' THEN 'SET COMPRESSION lz4' END
], NULL) AS settings
FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attname = ANY (%s::text[]) AND a.attnum > 0
AND (a.attstorage <> t.typstorage OR a.attcompression IN ('p', 'l')) ORDER BY 1, 2, 3
"""


def size_of(session: Session, table: TableName) -> int:
    """Return the size of a table with its indexes, partitions and child tables, in bytes."""
    size = session.value(
        "WITH RECURSIVE tree (oid) AS (SELECT to_regclass(%s)::oid UNION "
        "SELECT inhrelid FROM pg_inherits JOIN tree ON inhparent = tree.oid) "
        "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM tree",
        table.quoted,
    )
    return int(size)


def alter(session: Session, table: TableName, wanted: Alterations, patience: float | None) -> Alterations:
    """Change columns in the open transaction, and return what was changed: others may have done some of it.

    Args:
        session: A session in the publishing transaction.
        table: The table.
        wanted: What the load was planned with.
        patience: How long to try to lock the table, in seconds, or None for the default.

    Raises:
        LoadError: The columns are neither what they were nor what they are to be.
        TransientError: The lock was not granted in time.
        DatabaseError: The server refuses a change.
    """
    if not wanted or not _missing(session, table, wanted):
        return NO_ALTERATIONS
    with attempts.changes_kept_out(session, [table], patience) as until:
        missing = _missing(session, table, wanted)  # nobody else can change the table any more

        missing = replace(missing, restoring=restoring(session, table, missing.widened))

        def act() -> None:
            columns.run_definitions(session, list(missing.statements(table)))

        if missing:
            attempts.repeat(session, table, [table], act, until, what="columns")
    return missing


def _missing(session: Session, name: TableName, wanted: Alterations) -> Alterations:
    """Return what of it is to be done.

    Raises:
        LoadError: Columns were changed since the load was planned, in another way.
    """
    table = tables.find_table(session, name)
    if table is None:
        raise LoadError(f"There is no {name} any more.", "Nothing was loaded. Run the load again.")
    there = {column.name: column.type_name for column in table.columns}
    by_case = {column.name.casefold(): column for column in table.columns}
    changed = [
        f"{has.name} has been added, as {has.type_name}"
        for one in wanted.added
        for has in [by_case.get(one.column.name.casefold())]
        if has is not None and there.get(one.column.name) != one.column.type_name
    ] + [
        f"{one.before.name} is {there.get(one.before.name, 'gone')}"
        for one in wanted.widened
        if there.get(one.before.name) not in (one.before.type_name, one.after.type_name)
    ]
    if changed:
        raise LoadError(
            f"The columns of {name} were changed while rows were copied: {'; '.join(changed)}.",
            "Nothing was loaded. Run the load again.",
        )
    return replace(
        wanted,
        added=tuple(one for one in wanted.added if one.column.name not in there),
        widened=tuple(one for one in wanted.widened if there[one.before.name] != one.after.type_name),
    )
