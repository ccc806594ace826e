"""Creates, checks and drops what a capture needs beside its table."""

from __future__ import annotations

import time
from collections.abc import Callable

from jobs.dbaccess import locks
from jobs.dbaccess.capture import objects
from jobs.dbaccess.capture.captured import Relation, relations
from jobs.dbaccess.capture.objects import EVENTS, Capture
from jobs.dbaccess.capture.patience import short_timeout, until_locked
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_literal


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
        tell_subscribers(session, table)
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
            "Give it to a role that is trusted, or give another --channel.",
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
