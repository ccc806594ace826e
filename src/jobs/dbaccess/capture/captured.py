"""The captured table: whether its changes can be captured, its key columns, and the triggers that it has."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.capture import objects
from jobs.dbaccess.capture.objects import Capture, Key
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

_WIDEST = {
    **dict.fromkeys(("int2", "int4", "int8"), "bigint"),
    **dict.fromkeys(("varchar", "text"), "text"),
}
"""By pg_type's name: a column may be altered to a wider type of its kind without another trigger function."""

_KIND = """
SELECT c.relkind::text, c.relpersistence::text,
    EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'r'),
    EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid),
    EXISTS (SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class f ON f.oid = p.relid WHERE f.relkind = 'f'),
    pg_is_in_recovery()
FROM pg_class c WHERE c.oid = %s::regclass
"""

_KEYS = """
SELECT a.attname, format_type(base.oid, -1), base.typname, base.typcategory, n.nspname, o.oprname, EXISTS (
    SELECT FROM pg_collation l WHERE l.oid = k.coll AND NOT l.collisdeterministic
)
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[], i.indcollation::oid[])
    WITH ORDINALITY AS k (attnum, opclass, coll, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
JOIN pg_opclass c ON c.oid = k.opclass
JOIN pg_amop m ON m.amopfamily = c.opcfamily AND m.amoplefttype = c.opcintype AND m.amoprighttype = c.opcintype
    AND m.amopstrategy = 3
JOIN pg_operator o ON o.oid = m.amopopr JOIN pg_namespace n ON n.oid = o.oprnamespace
CROSS JOIN LATERAL (
    WITH RECURSIVE below AS (
        SELECT t.oid, t.typname, t.typcategory, t.typtype, t.typbasetype FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.oid, t.typname, t.typcategory, t.typtype, t.typbasetype
        FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd'
    )
    SELECT oid, typname, typcategory FROM below WHERE typtype <> 'd'
) base
WHERE i.indrelid = %s::regclass AND i.indisprimary AND k.place <= i.indnkeyatts ORDER BY k.place
"""
# A range or a boolean compares by its own operator; integers and strings also across the types of their kind, whose
# operators have one name, so the name suffices.

RELATIONS = """
SELECT p.relid::bigint AS oid, n.nspname, c.relname, ARRAY(
    SELECT t.tgname::text FROM pg_trigger t
    WHERE t.tgrelid = p.relid AND t.tgfoid = to_regprocedure({function})
    AND (t.tgenabled = 'A' OR t.tgenabled = 'O' AND NOT pg_has_role(c.relowner, 'USAGE'))
) AS triggers, ARRAY(
    SELECT t.tgname::text FROM pg_trigger t WHERE t.tgrelid = p.relid AND NOT t.tgisinternal
) AS all_triggers, (
    SELECT string_agg(t.xmin::text, ' ' ORDER BY t.tgname)
    FROM pg_trigger t WHERE t.tgrelid = p.relid AND t.tgfoid = to_regprocedure({function})
) AS written
FROM (SELECT to_regclass({table})::oid AS relid UNION SELECT relid FROM pg_partition_tree(to_regclass({table}))) p
JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
"""
# After ALTER TABLE ... ENABLE TRIGGER ALL, a trigger does not fire with session_replication_role = replica any more,
# which the owner can change again. `written` are the transactions that have written the triggers' rows of the catalog:
# if these are others, triggers were disabled meanwhile.


@dataclass(frozen=True)
class Relation:
    """A captured table, or one of its partitions.

    Attributes:
        oid: Of pg_class.
        triggers: The names of its triggers that record changes.
        others: The names of all of its triggers.
    """

    oid: int
    name: TableName
    triggers: frozenset[str]
    others: frozenset[str]


def relations_query(capture: Capture) -> str:
    """Return a query for the table and its partitions, and for the triggers that they have."""
    return RELATIONS.format(
        function=quote_literal(f"{capture.function.quoted}()"),
        table=quote_literal(capture.table.quoted),
    )


def relations(session: Session, capture: Capture) -> list[Relation]:
    """Return the captured table and its partitions; a partitioned one comes with all of its levels."""
    rows = session.run(f"{relations_query(capture)} ORDER BY 1")
    return [
        Relation(oid, TableName(name, schema), frozenset(triggers), frozenset(others))
        for oid, schema, name, triggers, others, _ in rows
    ]


def find(session: Session, name: TableName, channel: str) -> tuple[Capture, Table]:
    """Return the capture of a table, and the table.

    Args:
        session: At the source.
        name: The table.
        channel: The name of the capture; empty for the default.

    Raises:
        UsageError: There is no such table, or its changes cannot be captured.
    """
    table = tables.find_table(session, name)
    if table is None:
        raise UsageError(f"There is no table {name}.", "Check its name and schema; names are taken as written.")
    check_kind(session, table.name)
    channel = channel or objects.default_channel(table.name)
    objects.check_channel(channel)
    return Capture(channel, table.name, _keys(session, table.name)), table


def check_kind(session: Session, name: TableName) -> None:
    """Check that triggers see each change of an existing table, as far as its kind decides that.

    Raises:
        UsageError: They do not. The message says why.
    """
    [kind, *rest] = session.row(6, _KIND, name.quoted)
    if kind not in ("r", "p"):
        raise UsageError(f"{name} is not a table: its changes cannot be captured.", "Name a table.")
    [persistence, has_children, subscribed, has_foreign, standby] = rest
    wrong = {
        "is on a standby, which has no triggers of its own. Connect to the primary": standby,
        "is not a permanent table: a crash empties it, and no change is recorded": persistence != "p",
        "has child tables, among which a key is not unique. Capture these": has_children,
        "is filled by a subscription, which fires no trigger for its statements. Capture it at the publisher": (
            subscribed
        ),
        "has a partition that is a foreign table, whose changes cannot be captured": has_foreign,
    }
    for reason, applies in wrong.items():
        if applies:
            raise UsageError(f"{name} {reason}.")


def _keys(session: Session, table: TableName) -> tuple[Key, ...]:
    """Return the columns of the primary key.

    Raises:
        UsageError: There is none, or it has an array, or a collation for which different texts are equal.
    """
    rows = session.run(_KEYS, table.quoted)
    if not rows:
        raise UsageError(
            f"{table} has no primary key: its rows cannot be identified.",
            f"Add one: ALTER TABLE {table.quoted} ADD PRIMARY KEY (...).",
        )
    for name, type_name, _, category, *_, takes_for_equal in rows:
        if category == "A":
            raise UsageError(f"The key column {name} is an array ({type_name}).", "Capture needs another primary key.")
        if takes_for_equal:  # the tables of a capture, and its copy, would tell such texts apart
            raise UsageError(
                f"The key column {name} has a collation for which different texts are equal (not deterministic).",
                "Capture needs another primary key.",
            )
    return tuple(
        Key(name, _WIDEST.get(base, type_name), f"OPERATOR({quote_name(schema)}.{operator})")
        for name, type_name, base, _, schema, operator, _ in rows
    )
