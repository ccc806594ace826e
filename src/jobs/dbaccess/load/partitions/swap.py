"""Exchange partitions for the tables that replace them: in a moment, since only the catalog changes.

Changes of the partitions are kept out first, for as long as it takes, by locks for which readers and writers do not
wait. What the partitions are is compared then. The locks that readers wait for are taken last, and given up soon.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.load.partitions import attempts, rebuild, suitability
from jobs.dbaccess.load.partitions.catalog import exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import read
from jobs.dbaccess.load.partitions.new import default_of
from jobs.dbaccess.load.partitions.replace import Replacement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.dbaccess.sqlstates import SERIALIZATION_FAILURE

logger = logging.getLogger(__name__)

_MUCH = 100_000_000
"""A DEFAULT partition of so many bytes takes a noticeable time to read."""


def swap(session: Session, target: TableName, replacements: Sequence[Replacement], patience: float | None) -> None:
    """Lock the table, and exchange the partitions. Until the commit, readers wait.

    If a lock is not granted at once, the swap is tried again. Between attempts, readers and writers go on.

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
    old = [replacement for replacement in replacements if not replacement.is_new]
    tables = [*(replacement.partition.name for replacement in old), *_default(session, target)]
    with attempts.changes_kept_out(session, [target, *tables], patience) as until:
        _await_toast(session, old)
        before = _unguarded(session, old)
        with exact_forms(session):
            _check_same(session, target, old)
            exchanges = ["; ".join(exchange(target, replacement)) for replacement in replacements]

            def act() -> None:
                if _unguarded(session, old) != before:
                    raise _changed("A partition was")
                for statements in exchanges:
                    session.run(statements)

            attempts.repeat(session, target, [target, *tables] if old else tables, act, until)


def _default(session: Session, target: TableName) -> list[TableName]:
    """Return the DEFAULT partition, if there is one. Warn if it is big: it is read when others are attached."""
    found = default_of(session, target)
    if found is None:
        return []
    name, size = found
    if size >= _MUCH:
        logger.warning(
            "%s, the DEFAULT partition of %s, has %d MB. The server reads it while readers wait, unless a CHECK "
            "says that it holds no row of the partitions that are attached.",
            name,
            target,
            size / 1e6,
        )
    return [name]


def _await_toast(session: Session, old: Sequence[Replacement]) -> None:
    """Wait for VACUUM of the TOAST tables of partitions that are dropped, and keep it out.

    They cannot be locked by name. To reset an option of theirs that is not set changes nothing, and locks them, too.
    """
    for replacement in old:
        present = {text.partition(":")[0] for text in replacement.definition.copied}
        free = next((option for option in _OPTIONS if f"option toast.{option}" not in present), _OPTIONS[0])
        session.run(f"ALTER TABLE {replacement.partition.name.quoted} RESET (toast.{free})")


_OPTIONS = ("log_autovacuum_min_duration", "autovacuum_vacuum_cost_delay", "autovacuum_freeze_max_age")
"""Storage options of TOAST tables. To reset one takes SHARE UPDATE EXCLUSIVE."""


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


def exchange(target: TableName, replacement: Replacement) -> list[str]:
    """Return the statements that exchange a partition, or attach a new one."""
    definition, new, old = replacement.definition, replacement.table, replacement.partition.name
    statements = [
        *([] if replacement.is_new else [f"ALTER TABLE {target.quoted} DETACH PARTITION {old.quoted}"]),
        *(f"ALTER SEQUENCE {name} OWNED BY {new.quoted}.{quote_name(column)}" for name, column in definition.sequences),
        f"DROP TABLE {old.quoted}",
        *rebuild.renames(definition, new),
        f"ALTER TABLE {target.quoted} ATTACH PARTITION {old.quoted} {replacement.partition.bound}",
    ]
    if definition.constraint:
        statements.append(f"ALTER TABLE {old.quoted} DROP CONSTRAINT {quote_name(rebuild.BOUND)}")
    return statements
