"""Replace partitions by the tables that were loaded beside them, in the publishing transaction.

`build` does all that takes time, while nobody waits. `swap` locks the table and exchanges them, in a moment: only the
catalog changes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import ConstraintViolated, LoadError, TransientError
from jobs.dbaccess.load.partitions import rebuild, staged, suitability
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import Definition, columns_of, grants_of, read
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names

logger = logging.getLogger(__name__)

LOCK_WAIT = 0.5
"""How long an attempt waits for all of its locks, in seconds. Readers queue behind it for as long. It is less than the
server's deadlock_timeout, so that a reader who has locked a partition and now wants the table is not the one that the
server ends."""

PAUSES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts, in which readers go on. The last one is repeated."""

PATIENCE = 600
"""How long to try without --lock-timeout, in seconds."""

_MUCH = 100_000_000
"""A DEFAULT partition of so many bytes takes a noticeable time to read."""


@dataclass(frozen=True)
class Replacement:
    """A partition and the complete table that is to replace it."""

    definition: Definition
    table: TableName

    @property
    def partition(self) -> Partition:
        """The partition."""
        return self.definition.partition


def build(session: Session, staging: Staging, target: TableName, rows: int) -> tuple[Replacement, ...]:
    """Complete the table beside each partition that got rows: checks, indexes, settings, privileges and statistics.

    Args:
        session: A session in a transaction that has locked staging.
        staging: The staging tables, without rows of attempts that do not count.
        target: The partitioned table.
        rows: How many rows are staged.

    Raises:
        LoadError: A partition cannot be replaced, or rows belong to none.
        ConstraintViolated: The rows violate a constraint.
    """
    suitability.check_target(session, target)
    with exact_forms(session):
        filled = staged.filled(session, staging)
        present = sum(count for _, count in filled)
        if present != rows:
            raise LoadError(
                f"{rows} rows were staged, but {present} are left: the server crashed meanwhile.",
                "Nothing was loaded. Run the load again.",
            )
        _check_none_stray(session, staging, target, sum(count for table, count in filled if table.bound == DEFAULT))
        by_bound = {partition.bound: partition for partition in partitions_of(session, target)}
        if not {table.bound for table, _ in filled} <= by_bound.keys():
            raise LoadError(
                f"Partitions of {target} were detached or dropped while rows were copied.",
                "Nothing was loaded. Run the load again.",
            )
        pairs = [(by_bound[table.bound], table) for table, _ in filled]
        suitability.check_partitions(session, target, [partition for partition, _ in pairs])
        return tuple(_build_one(session, staging, partition, table) for partition, table in pairs)


def _check_none_stray(session: Session, staging: Staging, target: TableName, rows: int) -> None:
    if not rows:
        return
    names = session.run(
        "SELECT attname FROM pg_partitioned_table CROSS JOIN unnest(partattrs::int2[]) AS number "
        "LEFT JOIN pg_attribute ON (attrelid, attnum) = (partrelid, number) WHERE partrelid = to_regclass(%s)",
        target.quoted,
    )
    columns = [name for [name] in names if name is not None]
    keys = ""
    if len(columns) == len(names):  # no expression
        name = staged.stray(staging).quoted
        distinct = session.value(f"SELECT count(*) FROM (SELECT DISTINCT {quote_names(columns)} FROM {name}) AS keys")
        keys = f", with {distinct:,} different values of ({', '.join(columns)}),"
    raise LoadError(
        f"{rows:,} rows{keys} belong to no partition of {target}, or to its DEFAULT partition, which is not replaced.",
        f"Nothing was loaded. First, CREATE TABLE .. PARTITION OF {target} for them, or leave them out with --select.",
    )


def _build_one(session: Session, staging: Staging, partition: Partition, new: Partition) -> Replacement:
    definition, table = read(session, partition), new.name
    if columns_of(session, new.oid) != definition.columns:
        raise LoadError(
            f"The columns of {partition.name} were changed while rows were copied.",
            "Nothing was loaded. Run the load again.",
        )
    for statement in rebuild.checks(definition, table):
        session.run(statement)
    for number, index in enumerate(definition.indexes):
        try:
            for statement in rebuild.index(index, table, rebuild.index_name(table, number)):
                session.run(statement)
        except ConstraintViolated as error:
            raise ConstraintViolated(
                f"Rows for {partition.name} violate its index {index.name}: {error.message}",
                "Nothing was loaded.",
                error.sqlstate,
            ) from None
    for statement in rebuild.settings(definition, table):
        session.run(statement)
    session.run(f"ANALYZE {table.quoted}")
    _give(session, definition, table, new.oid)
    session.run(f"ALTER TABLE {staging.rows.quoted} DETACH PARTITION {table.quoted}")
    return Replacement(definition, table)


def _give(session: Session, definition: Definition, table: TableName, oid: int) -> None:
    """Give the table to the partition's owner, with the partition's privileges."""
    if session.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::oid", oid) != definition.owner:
        session.run(f"ALTER TABLE {table.quoted} OWNER TO {quote_name(definition.owner)}")
    for statement in rebuild.grants(definition.grants, grants_of(session, oid), table):
        session.run(statement)


def swap(session: Session, target: TableName, replacements: Sequence[Replacement], patience: float | None) -> None:
    """Lock the table, and exchange the partitions. Until the commit, readers wait.

    A lock that is not granted at once is tried for again: between attempts, nothing of the table is locked.

    Args:
        session: A session in the publishing transaction.
        target: The partitioned table.
        replacements: What `build` returned.
        patience: How long to try, in seconds, or None for the default.

    Raises:
        LoadError: A partition cannot be replaced any more.
        TransientError: The locks were not granted in time, or a partition was changed.
    """
    if not replacements:
        return
    _warn_of_default(session, target)
    deadline = time.monotonic() + (PATIENCE if patience is None else patience)
    pauses = list(PAUSES)
    timeout = session.value("SELECT current_setting('lock_timeout')")
    while True:
        session.run("SAVEPOINT pgjobs_swap")
        try:
            _lock(session, target, replacements)
            _exchange(session, target, replacements)
        except TransientError as error:
            if error.sqlstate not in _IN_THE_WAY or session.closed or time.monotonic() >= deadline:
                raise
            session.run("ROLLBACK TO SAVEPOINT pgjobs_swap; RELEASE SAVEPOINT pgjobs_swap")
        else:
            session.run("RELEASE SAVEPOINT pgjobs_swap")
            session.value("SELECT set_config('lock_timeout', %s, true)", timeout)
            return
        pause = pauses.pop(0) if len(pauses) > 1 else pauses[0]
        logger.info("%s is in use: its partitions are replaced when its readers let go. Trying again.", target)
        time.sleep(min(pause, max(deadline - time.monotonic(), 0)))


_IN_THE_WAY = (table_locks.LOCK_TIMEOUT, "40P01")
"""The SQLSTATEs of a lock that was not granted in time, and of a deadlock."""


def _warn_of_default(session: Session, target: TableName) -> None:
    for size, name in session.run(
        "SELECT pg_relation_size(c.oid), c.oid::regclass::text FROM pg_partitioned_table p "
        "JOIN pg_class c ON c.oid = p.partdefid WHERE p.partrelid = to_regclass(%s)",
        target.quoted,
    ):
        if size >= _MUCH:
            logger.warning(
                "%s, the DEFAULT partition of %s, has %d MB. The server reads it while readers wait, unless a CHECK "
                "says that it holds no row of a partition that is replaced.",
                name,
                target,
                size / 1e6,
            )


def _lock(session: Session, target: TableName, replacements: Sequence[Replacement]) -> None:
    """Lock the table, then what is below it: in the order of its readers."""
    deadline = time.monotonic() + LOCK_WAIT
    default = session.run(
        "SELECT n.nspname, c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partdefid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE p.partrelid = to_regclass(%s)",
        target.quoted,
    )
    others = [TableName(name, schema) for schema, name in default]
    for table in (target, *(replacement.partition.name for replacement in replacements), *others):
        left = max(int((deadline - time.monotonic()) * 1000), 1)
        session.run(f"SET LOCAL lock_timeout = {left}; LOCK TABLE ONLY {table.quoted} IN ACCESS EXCLUSIVE MODE")


def _exchange(session: Session, target: TableName, replacements: Sequence[Replacement]) -> None:
    with exact_forms(session):
        suitability.check_target(session, target)
        partitions = [replacement.partition for replacement in replacements]
        _check_same(session, target, replacements)
        suitability.check_partitions(session, target, partitions)
        for replacement in replacements:
            for statement in _statements(target, replacement):
                session.run(statement)


def _check_same(session: Session, target: TableName, replacements: Sequence[Replacement]) -> None:
    """Check, when they are locked, that the partitions are what they were when the new tables were made like them."""
    present = {partition.oid: partition for partition in partitions_of(session, target)}
    for replacement in replacements:
        partition = replacement.partition
        if present.get(partition.oid) != partition or read(session, partition) != replacement.definition:
            raise TransientError(
                f"{partition.name} was changed while the table that replaces it was completed.",
                "Nothing was loaded. Run the load again.",
                "40001",
            )


def _statements(target: TableName, replacement: Replacement) -> list[str]:
    definition, new, old = replacement.definition, replacement.table, replacement.partition.name
    kept = [
        f"ALTER SEQUENCE {sequence} OWNED BY {new.quoted}.{quote_name(column)}"
        for sequence, column in definition.sequences
    ]
    unbound = [f"ALTER TABLE {old.quoted} DROP CONSTRAINT {quote_name(rebuild.BOUND)}"] if definition.constraint else []
    return [
        f"ALTER TABLE {target.quoted} DETACH PARTITION {old.quoted}",
        *kept,
        f"DROP TABLE {old.quoted}",
        *rebuild.renames(definition, new),
        f"ALTER TABLE {target.quoted} ATTACH PARTITION {old.quoted} {replacement.partition.bound}",
        *unbound,
    ]
