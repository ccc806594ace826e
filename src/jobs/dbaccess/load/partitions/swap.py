"""Exchange partitions for the tables that replace them: in a moment, since only the catalog changes.

Changes of the partitions are kept out first, for as long as it takes, by locks for which readers and writers do not
wait. What the partitions are is compared then. The locks that readers wait for are taken last, and given up soon.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.load.partitions import rebuild, suitability
from jobs.dbaccess.load.partitions.catalog import exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import read
from jobs.dbaccess.load.partitions.replace import Replacement
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.dbaccess.sqlstates import DEADLOCK, LOCK_TIMEOUT, SERIALIZATION_FAILURE

logger = logging.getLogger(__name__)

LOCK_WAIT = 0.5
"""How long an attempt waits for all of its locks, in seconds. Readers queue behind it for as long. It is less than the
server's deadlock_timeout, so that a reader who has locked a partition and now wants the table is not the one that the
server ends."""

PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds between the first two attempts, in which readers go on; the double between the next ones; at most."""

PATIENCE = 600
"""How long to try without --lock-timeout, in seconds."""

_MUCH = 100_000_000
"""A DEFAULT partition of so many bytes takes a noticeable time to read."""


def swap(session: Session, target: TableName, replacements: Sequence[Replacement], patience: float | None) -> None:
    """Lock the table, and exchange the partitions. Until the commit, readers wait.

    A lock that is not granted at once is tried for again: between attempts, readers and writers go on.

    Args:
        session: A session in the publishing transaction.
        target: The partitioned table.
        replacements: The partitions, and the complete tables.
        patience: How long to try, in seconds, or None for the default.

    Raises:
        LoadError: A partition cannot be replaced any more.
        TransientError: The locks were not granted in time, or a partition was changed.
    """
    if not replacements:
        return
    patience = PATIENCE if patience is None else patience
    deadline = time.monotonic() + patience
    locked = [target, *(replacement.partition.name for replacement in replacements), *_default(session, target)]
    with local_settings(session, {"lock_timeout": f"{int(patience * 1000)}"}), exact_forms(session):
        _keep_changes_out(session, locked)
        before = _unguarded(session, replacements)
        _check_same(session, target, replacements)
        exchange = [_exchange(target, replacement) for replacement in replacements]
        pause = PAUSE
        while not _attempt(session, locked, exchange, replacements, before, is_last=time.monotonic() >= deadline):
            logger.info("%s is in use: its partitions are replaced when its readers let go. Trying again.", target)
            time.sleep(max(min(pause, deadline - time.monotonic()), 0))
            pause = min(2 * pause, LONGEST_PAUSE)


def _default(session: Session, target: TableName) -> list[TableName]:
    """Return the DEFAULT partition, if there is one. Warn if it is big: it is read when others are attached."""
    found = session.run(
        "SELECT n.nspname, c.relname, pg_relation_size(c.oid) FROM pg_partitioned_table p "
        "JOIN pg_class c ON c.oid = p.partdefid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE p.partrelid = to_regclass(%s)",
        target.quoted,
    )
    for _, name, size in found:
        if size >= _MUCH:
            logger.warning(
                "%s, the DEFAULT partition of %s, has %d MB. The server reads it while readers wait, unless a CHECK "
                "says that it holds no row of a partition that is replaced.",
                name,
                target,
                size / 1e6,
            )
    return [TableName(name, schema) for schema, name, _ in found]


def _keep_changes_out(session: Session, locked: Sequence[TableName]) -> None:
    """Wait for VACUUM, ANALYZE and changes of the tables, and keep them out. The server ends an autovacuum for this."""
    names = ", ".join(f"ONLY {table.quoted}" for table in locked)
    session.run(f"LOCK TABLE {names} IN {table_locks.SHARE_UPDATE_EXCLUSIVE} MODE")


def _unguarded(session: Session, replacements: Sequence[Replacement]) -> list[list[object]]:
    """Return what others can change while `_keep_changes_out` has its locks: privileges, indexes and what depends."""
    return session.run(_UNGUARDED, [replacement.partition.oid for replacement in replacements])


_UNGUARDED = """
SELECT c.oid::bigint, c.relacl::text,
    (SELECT string_agg(attacl::text, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid),
    (SELECT string_agg(concat_ws(' ', i.oid, i.relname, i.reloptions), ';' ORDER BY i.oid)
        FROM pg_index JOIN pg_class i ON i.oid = indexrelid WHERE indrelid = c.oid),
    (SELECT string_agg(concat_ws(' ', classid, objid, refobjsubid), ';' ORDER BY classid, objid, refobjsubid)
        FROM pg_depend WHERE refclassid = 'pg_class'::regclass AND refobjid = c.oid)
FROM pg_class c WHERE c.oid = ANY (%s::oid[]) ORDER BY 1
"""


def _check_same(session: Session, target: TableName, replacements: Sequence[Replacement]) -> None:
    """Check that the partitions are what they were when the new tables were made like them."""
    suitability.check_target(session, target)
    present = {partition.oid: partition for partition in partitions_of(session, target)}
    for replacement in replacements:
        partition = replacement.partition
        if present.get(partition.oid) != partition or read(session, partition) != replacement.definition:
            raise _changed(f"{partition.name} was")
    suitability.check_partitions(session, target, [replacement.partition for replacement in replacements])


def _changed(what: str) -> TransientError:
    return TransientError(
        f"{what} changed while the table that replaces it was completed.",
        "Nothing was loaded. Run the load again.",
        SERIALIZATION_FAILURE,
    )


def _attempt(
    session: Session,
    locked: Sequence[TableName],
    exchange: Sequence[str],
    replacements: Sequence[Replacement],
    before: list[list[object]],
    *,
    is_last: bool,
) -> bool:
    """Lock the tables, and exchange the partitions. Return False, with nothing locked, if a lock was not granted."""
    session.run("SAVEPOINT pgjobs_swap")
    try:
        _lock(session, locked)
        if _unguarded(session, replacements) != before:
            raise _changed("A partition was")
        for statements in exchange:
            session.run(statements)
    except TransientError as error:
        if error.sqlstate not in _IN_THE_WAY or session.closed or is_last:
            raise
        session.run("ROLLBACK TO SAVEPOINT pgjobs_swap; RELEASE SAVEPOINT pgjobs_swap")
        return False
    session.run("RELEASE SAVEPOINT pgjobs_swap")
    return True


_IN_THE_WAY = (LOCK_TIMEOUT, DEADLOCK)
"""The SQLSTATEs of a lock that was not granted in time, and of a deadlock."""


def _lock(session: Session, locked: Sequence[TableName]) -> None:
    """Lock the table, then what is below it: in the order of its readers."""
    deadline = time.monotonic() + LOCK_WAIT
    for table in locked:
        left = max(int((deadline - time.monotonic()) * 1000), 1)
        session.run(
            f"SET LOCAL lock_timeout = {left}; LOCK TABLE ONLY {table.quoted} IN {table_locks.ACCESS_EXCLUSIVE} MODE"
        )


def _exchange(target: TableName, replacement: Replacement) -> str:
    """Return the statements that exchange a partition, to be sent at once."""
    definition, new, old = replacement.definition, replacement.table, replacement.partition.name
    statements = [
        f"ALTER TABLE {target.quoted} DETACH PARTITION {old.quoted}",
        *(f"ALTER SEQUENCE {name} OWNED BY {new.quoted}.{quote_name(column)}" for name, column in definition.sequences),
        f"DROP TABLE {old.quoted}",
        *rebuild.renames(definition, new),
        f"ALTER TABLE {target.quoted} ATTACH PARTITION {old.quoted} {replacement.partition.bound}",
    ]
    if definition.constraint:
        statements.append(f"ALTER TABLE {old.quoted} DROP CONSTRAINT {quote_name(rebuild.BOUND)}")
    return "; ".join(statements)
