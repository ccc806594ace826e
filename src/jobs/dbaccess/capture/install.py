"""Creates, checks and drops what a capture needs beside its table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from jobs.dbaccess import locks
from jobs.dbaccess.capture import objects
from jobs.dbaccess.capture.objects import EVENTS, Capture, Key
from jobs.dbaccess.capture.patience import short_timeout, until_locked
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
SELECT c.relpersistence::text, EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid AND c.relkind = 'r'),
    EXISTS (SELECT FROM pg_subscription_rel s WHERE s.srrelid = c.oid),
    EXISTS (SELECT FROM pg_partition_tree(c.oid) p JOIN pg_class f ON f.oid = p.relid WHERE f.relkind = 'f'),
    pg_is_in_recovery()
FROM pg_class c WHERE c.oid = %s::regclass
"""

_KEYS = """
SELECT a.attname, format_type(base.oid, -1), base.typname, base.typcategory, n.nspname, o.oprname
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indclass::oid[]) WITH ORDINALITY AS k (attnum, opclass, place)
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
    WHERE t.tgrelid = p.relid AND t.tgenabled IN ('O', 'A') AND t.tgfoid = to_regprocedure({function})
) AS triggers, ARRAY(
    SELECT t.tgname::text FROM pg_trigger t WHERE t.tgrelid = p.relid AND NOT t.tgisinternal
) AS all_triggers
FROM (SELECT to_regclass({table})::oid AS relid UNION SELECT relid FROM pg_partition_tree(to_regclass({table}))) p
JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
"""


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
        for oid, schema, name, triggers, others in rows
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
    _check_kind(session, table)
    channel = channel or objects.default_channel(table.name)
    objects.check_channel(channel)
    return Capture(channel, table.name, _keys(session, table.name)), table


def _check_kind(session: Session, table: Table) -> None:
    if table.kind not in ("r", "p"):
        raise UsageError(f"{table.name} is not a table: its changes cannot be captured.", "Name a table.")
    [persistence, has_children, subscribed, has_foreign, standby] = session.row(5, _KIND, table.name.quoted)
    wrong = {
        "is on a standby, which has no triggers of its own. Connect to the primary": standby,
        "is not a permanent table: after a crash its rows are gone without a change": persistence != "p",
        "has child tables, among which a key is not unique. Capture these": has_children,
        "is filled by a subscription, which fires no trigger for its statements. Capture it at the publisher": (
            subscribed
        ),
        "has a partition that is a foreign table, whose changes cannot be captured": has_foreign,
    }
    for reason, applies in wrong.items():
        if applies:
            raise UsageError(f"{table.name} {reason}.")


def _keys(session: Session, table: TableName) -> tuple[Key, ...]:
    """Return the columns of the primary key.

    Raises:
        UsageError: There is none, or it has an array.
    """
    rows = session.run(_KEYS, table.quoted)
    if not rows:
        raise UsageError(
            f"{table} has no primary key: its rows cannot be told apart.",
            f"Add one: ALTER TABLE {table.quoted} ADD PRIMARY KEY (...).",
        )
    for name, type_name, _, category, *_ in rows:
        if category == "A":
            raise UsageError(f"The key column {name} is an array ({type_name}).", "Capture needs another primary key.")
    return tuple(
        Key(name, _WIDEST.get(base, type_name), f"OPERATOR({quote_name(schema)}.{operator})")
        for name, type_name, base, _, schema, operator in rows
    )


def ensure(session: Session, capture: Capture, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Create what is missing. Return whether something was.

    Writers that have a transaction open are waited for. After that, each statement that changes the table is recorded.
    If triggers were missing, changes may have passed unseen, so all readers compare the whole table.

    Raises:
        TransientError: The table's lock was not granted.
        UsageError: A name is taken, or the owner of an object is not trusted.
        DatabaseError: This user may not create it.
    """
    _check_owners(session, capture)
    if not _missing(session, capture):
        return False
    timeout = short_timeout(session)
    until_locked(lambda: _create(session, capture, timeout), capture.table, sleep)
    for table in (capture.changes, capture.readers):
        tables.tell_subscribers(session, table)
    return True


def _missing(session: Session, capture: Capture) -> bool:
    wanted = set(capture.triggers.values())
    found = relations(session, capture)
    taken = [
        (relation.name, name)
        for relation in found
        for name in (relation.others - relation.triggers) & wanted
        if not _is_disabled(session, capture, relation, name)
    ]
    if taken:
        relation, name = taken[0]
        raise UsageError(f"{relation} has a trigger {name} that calls another function.", "Give another --channel.")
    return not (
        all(wanted <= relation.triggers for relation in found)
        and _has_tables(session, capture)
        and _function_text(session, capture) == objects.function_body(capture)
    )


def _is_disabled(session: Session, capture: Capture, relation: Relation, name: str) -> bool:
    rows = session.run(
        "SELECT 1 FROM pg_trigger WHERE tgrelid = %s::oid AND tgname = %s AND tgfoid = to_regprocedure(%s)",
        relation.oid,
        name,
        f"{capture.function.quoted}()",
    )
    return bool(rows)


def _function_text(session: Session, capture: Capture) -> str | None:
    rows = session.run("SELECT prosrc FROM pg_proc WHERE oid = to_regprocedure(%s)", f"{capture.function.quoted}()")
    return rows[0][0] if rows else None


def _has_tables(session: Session, capture: Capture) -> bool:
    """Return whether the tables exist.

    Raises:
        UsageError: The table of changes is that of another primary key.
    """
    [changes, readers] = session.row(
        2,
        "SELECT ARRAY(SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = to_regclass(%s) "
        "AND attnum > 3 AND NOT attisdropped ORDER BY attnum), to_regclass(%s) IS NOT NULL",
        capture.changes.quoted,
        capture.readers.quoted,
    )
    if not changes:
        return False
    if changes != [f"{key.type_name}[]" for key in capture.keys]:
        raise UsageError(
            f"{capture.changes} records the keys of another primary key than {capture.table} has now.",
            "Remove the capture (--drop), and start it again.",
        )
    return bool(readers)


_OWNERS = """
SELECT owned.name, o.rolname FROM (
    SELECT c.relname AS name, c.relowner AS owner FROM pg_class c
    WHERE c.oid IN (to_regclass({changes}), to_regclass({readers}))
    UNION ALL SELECT proname, proowner FROM pg_proc WHERE oid = to_regprocedure({function})
) AS owned JOIN pg_roles o ON o.oid = owned.owner JOIN pg_roles me ON me.rolname = current_user
JOIN pg_database d ON d.datname = current_database()
WHERE NOT (o.rolsuper OR o.oid = d.datdba OR o.oid = me.oid OR NOT me.rolsuper AND pg_has_role(o.oid, 'USAGE'))
"""


def _check_owners(session: Session, capture: Capture) -> None:
    """Refuse objects of others, whose triggers could run as this user.

    Raises:
        UsageError: There are some. The message names one and its owner.
    """
    untrusted = session.run(
        _OWNERS.format(
            changes=quote_literal(capture.changes.quoted),
            readers=quote_literal(capture.readers.quoted),
            function=quote_literal(f"{capture.function.quoted}()"),
        )
    )
    for name, owner in untrusted:
        raise UsageError(
            f"{name} belongs to {owner}, who is neither this user, the database's owner nor a superuser.",
            "Have it given to a role that is trusted, or give another --channel.",
        )


def _create(session: Session, capture: Capture, lock_timeout: str) -> None:
    with session.transaction(lock_timeout=lock_timeout, statement_timeout="0"):
        locks.wait_in_transaction(session, locks.own_table(str(capture.function)))
        for statement in objects.create_tables(capture):
            session.run(statement)
        session.run(objects.create_function(capture))
        session.run(f"REVOKE ALL ON FUNCTION {capture.function.quoted}() FROM PUBLIC")
        # Twice: CREATE TRIGGER locks a partitioned table, and until then another partition may have been attached.
        for _ in range(2):
            for relation in relations(session, capture):
                _create_triggers(session, capture, relation)
        session.run(objects.mark_unknown(capture))


def _create_triggers(session: Session, capture: Capture, relation: Relation) -> None:
    for event in EVENTS:
        name = capture.triggers[event]
        if name in relation.triggers:
            continue
        if name not in relation.others:
            session.run(objects.create_trigger(capture, event, relation.name))
        if _may_alter(session, relation):
            session.run(objects.fire_always(capture, event, relation.name))


def _may_alter(session: Session, relation: Relation) -> bool:
    """Return whether this user owns a table: a role with the privilege TRIGGER may create triggers, but not more."""
    owns = session.value("SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = %s::oid", relation.oid)
    return bool(owns)


def exists(session: Session, capture: Capture) -> bool:
    """Return whether the capture has its tables."""
    found = session.value(
        "SELECT to_regclass(%s) IS NOT NULL AND to_regclass(%s) IS NOT NULL",
        capture.changes.quoted,
        capture.readers.quoted,
    )
    return bool(found)


def size(session: Session, capture: Capture) -> int:
    """Return the bytes of the table of changes, with its index."""
    size = session.value("SELECT pg_total_relation_size(to_regclass(%s))", capture.changes.quoted)
    return int(size)


def drop(session: Session, capture: Capture, sleep: Callable[[float], None] = time.sleep) -> None:
    """Drop all objects of a capture, in one transaction. Writers that have a transaction open are waited for.

    Raises:
        TransientError: The table's lock was not granted.
        DatabaseError: This user may not drop them.
    """
    timeout = short_timeout(session)
    until_locked(lambda: _drop(session, capture, timeout), capture.table, sleep)


def _drop(session: Session, capture: Capture, lock_timeout: str) -> None:
    with session.transaction(lock_timeout=lock_timeout, statement_timeout="0"):
        for statement in objects.drop(capture):
            session.run(statement)
