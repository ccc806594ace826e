"""What replacing a partition by a new table would lose, change or leave undone. Such a load is refused by name."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.partitions.catalog import Partition
from jobs.dbaccess.load.partitions.missing.rules import FLAG
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

MODE = "--mode replace-partitions"

MOST = 1000
"""The largest number of partitions: a load makes a table beside each, in some milliseconds."""

_INSTEAD = "Use --mode overwrite with --overwrite-where, which deletes and inserts rows."

# 4, 8 and 32 are INSERT, DELETE and TRUNCATE in pg_trigger's tgtype. Until PostgreSQL 14, a partition's copy of a
# trigger is internal, as triggers of constraints are.
_TABLE = """
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND t.oid IN (conrelid, confrelid)
UNION ALL SELECT 'trigger ' || tgname || ', which would not fire' FROM pg_trigger
WHERE tgrelid = t.oid AND (NOT tgisinternal OR tgparentid <> 0) AND tgenabled <> 'D' AND tgtype & (4 | 8 | 32) <> 0
UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = t.oid
UNION ALL SELECT 'partition ' || inhrelid::regclass || ', whose DETACH is pending (ALTER TABLE .. DETACH PARTITION .. '
    'FINALIZE ends it)' FROM pg_inherits WHERE inhparent = t.oid AND inhdetachpending
UNION ALL SELECT 'row-level security, whose policies bind this user' WHERE row_security_active(t.oid)
UNION ALL SELECT 'owner ' || pg_get_userbyid(t.relowner) || ', a role of which this user is not a member'
WHERE NOT pg_has_role(t.relowner, 'USAGE')
"""

_PARTITION = """
SELECT 'foreign key ' || conname || ' of ' || conrelid::regclass FROM pg_constraint
WHERE contype = 'f' AND p.oid IN (conrelid, confrelid)
UNION ALL SELECT 'trigger ' || t.tgname || ' of its own' FROM pg_trigger t
LEFT JOIN pg_trigger parent ON parent.oid = t.tgparentid
WHERE t.tgrelid = p.oid AND (NOT t.tgisinternal OR t.tgparentid <> 0) AND parent.tgenabled IS DISTINCT FROM t.tgenabled
UNION ALL SELECT 'rule ' || rulename FROM pg_rewrite WHERE ev_class = p.oid
UNION ALL SELECT 'policy ' || polname FROM pg_policy WHERE polrelid = p.oid
UNION ALL SELECT 'publication ' || pubname FROM pg_publication_rel r JOIN pg_publication b ON b.oid = r.prpubid
WHERE prrelid = p.oid
UNION ALL SELECT 'subscription ' || subname FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
WHERE srrelid = p.oid
UNION ALL SELECT 'identity of its column ' || attname FROM pg_depend d
JOIN pg_attribute ON (attrelid, attnum) = (refobjid, refobjsubid)
WHERE d.refobjid = p.oid AND d.deptype = 'i' AND (classid, refclassid) = ('pg_class'::regclass, 'pg_class'::regclass)
UNION ALL SELECT 'security label' FROM pg_seclabel WHERE (classoid, objoid) = ('pg_class'::regclass, p.oid)
UNION ALL SELECT 'owner ' || pg_get_userbyid(p.relowner) || ', a role of which this user is not a member'
WHERE NOT pg_has_role(p.relowner, 'USAGE')
UNION ALL SELECT 'index ' || i.indexrelid::regclass || ' of the table, which the partition lacks'
FROM pg_inherits h JOIN pg_index i ON i.indrelid = h.inhparent WHERE h.inhrelid = p.oid AND NOT EXISTS (
    SELECT FROM pg_inherits c JOIN pg_index o ON o.indexrelid = c.inhrelid
    WHERE c.inhparent = i.indexrelid AND o.indrelid = p.oid)
UNION ALL SELECT DISTINCT coalesce('view ' || r.ev_class::regclass, pg_describe_object(d.classid, d.objid, d.objsubid))
FROM pg_depend d LEFT JOIN pg_rewrite r ON (d.classid, d.objid) = ('pg_rewrite'::regclass, r.oid)
WHERE d.deptype = 'n' AND (d.refclassid, d.refobjid) IN (('pg_class'::regclass, p.oid),
    ('pg_type'::regclass, p.reltype), ('pg_type'::regclass, (SELECT typarray FROM pg_type WHERE oid = p.reltype)))
AND d.classid IN ('pg_rewrite'::regclass, 'pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass)
"""


def check_target(session: Session, target: TableName) -> None:
    """Check that partitions of a table can be replaced, before anything is copied and when it is locked.

    Raises:
        UsageError: The table is not partitioned.
        LoadError: They cannot. The message says because of what.
    """
    found = session.run(
        "SELECT relkind::text, (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid) FROM pg_class c "
        "WHERE oid = to_regclass(%s)",
        target.quoted,
    )
    kind, partitions = found[0] if found else ("", 0)
    if kind != tables.PARTITIONED:
        raise UsageError(f"{MODE} needs a partitioned table, and {target} is not partitioned.", "Use --mode overwrite.")
    if partitions > MOST:
        raise UsageError(
            f"{target} has {partitions:,} partitions, and {MODE} makes a table beside each: {MOST:,} at most.", _INSTEAD
        )
    reasons = _texts(
        session, f"SELECT r FROM pg_class t, LATERAL ({_TABLE}) AS x (r) WHERE t.oid = %s::regclass", target.quoted
    )
    if reasons:
        raise _refusal(f"partitions of {target}", reasons)
    publications = _publications(session, target)
    if publications:
        raise LoadError(
            f"{MODE} cannot replace partitions of {target}, which {', '.join(publications)} publishes: attaching a "
            "table is not replicated.",
            _INSTEAD,
        )


def check_suppliable(session: Session, target: TableName, columns: Sequence[str]) -> None:
    """Check that partitions for the rows of a load can be created, before anything is copied.

    Raises:
        UsageError: The table is not partitioned, or the data lacks its partition key, or only others may do so.
    """
    found = session.run(
        "SELECT relkind::text, pg_has_role(relowner, 'USAGE'), pg_get_userbyid(relowner), "
        "ARRAY(SELECT attname::text FROM pg_partitioned_table CROSS JOIN unnest(partattrs::int2[]) AS number "
        "JOIN pg_attribute ON (attrelid, attnum) = (partrelid, number) WHERE partrelid = c.oid) "
        "FROM pg_class c WHERE oid = to_regclass(%s)",
        target.quoted,
    )
    kind, may, owner, keys = found[0] if found else ("", False, "", [])
    if kind != tables.PARTITIONED:
        raise UsageError(f"{FLAG} needs a partitioned table, and {target} is not partitioned.", f"Leave {FLAG} out.")
    if not may:
        raise UsageError(
            f"Only its owner {owner} can create partitions of {target}, and this user is not a member of that role.",
            f"Load as the owner, or leave {FLAG} out and have the partitions created first.",
        )
    lacking = [name for name in keys if name not in columns]
    if lacking:
        raise UsageError(
            f"The data has no {', '.join(lacking)}, by which {target} is partitioned.",
            f"Add the column by --select, or leave {FLAG} out.",
        )


def check_partitions(session: Session, target: TableName, partitions: Sequence[Partition]) -> None:
    """Check that these partitions can be replaced.

    Raises:
        LoadError: One cannot. The message says because of what.
    """
    for partition in partitions:
        if partition.kind == tables.PARTITIONED:
            raise LoadError(
                f"{partition.name}, a partition of {target}, is partitioned itself: {MODE} replaces tables.",
                f"Nothing was loaded. Load the rows of {partition.name} with --table {partition.name}.",
            )
        if partition.kind != "r":
            raise LoadError(
                f"{partition.name}, a partition of {target}, is a foreign table.", f"Nothing was loaded. {_INSTEAD}"
            )
        query = f"SELECT r FROM pg_class p, LATERAL ({_PARTITION}) AS x (r) WHERE p.oid = %s::oid"
        reasons = _texts(session, query, partition.oid)
        if reasons:
            raise _refusal(str(partition.name), reasons)


def _texts(session: Session, query: str, value: object) -> list[str]:
    return [text for [text] in session.run(f"{query} ORDER BY 1", value)]


def _refusal(what: str, reasons: Sequence[str]) -> LoadError:
    return LoadError(
        f"{MODE} cannot replace {what}. In the way: {'; '.join(reasons)}.", f"Nothing was loaded. {_INSTEAD}"
    )


def _publications(session: Session, target: TableName) -> list[str]:
    """Return the publications of logical replication that include the table, a partition of it, or one above it."""
    rows = session.run(
        "SELECT DISTINCT p.pubname FROM (SELECT relid FROM pg_partition_tree(to_regclass(%s)) "
        "UNION SELECT relid FROM pg_partition_ancestors(to_regclass(%s)) AS a (relid)) AS tree "
        "JOIN pg_class c ON c.oid = tree.relid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_publication_tables p ON (p.schemaname, p.tablename) = (n.nspname, c.relname) "
        "WHERE current_setting('wal_level') = 'logical' ORDER BY 1",
        target.quoted,
        target.quoted,
    )
    return [name for [name] in rows]
