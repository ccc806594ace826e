"""Complete the tables that were loaded beside partitions, in the publishing transaction, while nobody waits for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from jobs.dbaccess.errors import ConstraintViolated, LoadError, plural
from jobs.dbaccess.load import index_settings
from jobs.dbaccess.load.partitions import rebuild, staged, suitability
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import Definition, columns_of, copied, grants_of, read
from jobs.dbaccess.load.partitions.missing.rules import NO
from jobs.dbaccess.load.partitions.place import place
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.statistics import analyzing
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


@dataclass(frozen=True)
class Replacement:
    """A partition and the complete table that is to replace it.

    Attributes:
        is_new: Whether the partition is not attached: this transaction created it, as the pattern of a new one.
    """

    definition: Definition
    table: TableName
    is_new: bool = False

    @property
    def partition(self) -> Partition:
        """The partition."""
        return self.definition.partition


def build(
    session: Session,
    staging: Staging,
    target: TableName,
    rows: int,
    *,
    new_partitions: str = NO,
    patience: float | None = None,
) -> tuple[Replacement, ...]:
    """Complete the table beside each partition that got rows: checks, indexes, settings, privileges and statistics.

    Args:
        session: A session in a transaction that has locked staging.
        staging: The staging tables, without rows of attempts that do not count.
        target: The partitioned table.
        rows: How many rows are staged.
        new_partitions: The rule of partitions that do not exist yet, or AUTO or NO.
        patience: How long to wait for a lock, in seconds, or None for the default.

    Raises:
        LoadError: A partition cannot be replaced, or rows belong to none.
        ConstraintViolated: The rows violate a constraint.
    """
    suitability.check_target(session, target)
    with exact_forms(session):
        filled, made = _filled(session, staging, target, rows, given=new_partitions, patience=patience)
        attached = {partition.bound: partition for partition in partitions_of(session, target)}
        if any(table.name.name not in made and table.bound not in attached for table in filled):
            raise LoadError(
                f"Partitions of {target} were detached or dropped while rows were copied.",
                "Nothing was loaded. Run the load again.",
            )
        replaced = [(attached[table.bound], table) for table in filled if table.name.name not in made]
        suitability.check_partitions(session, target, [partition for partition, _ in replaced])
        index_settings.allow(session)
        above = session.value("SELECT coalesce(pg_get_partition_constraintdef(to_regclass(%s)), '')", target.quoted)
        built = [_build_one(session, staging, read(session, partition), table) for partition, table in replaced]
        for table in filled:
            if table.name.name in made:
                pattern = _pattern(session, made[table.name.name], table, above)
                built.append(replace(_build_one(session, staging, pattern, table), is_new=True))
    return tuple(built)


def _filled(
    session: Session, staging: Staging, target: TableName, rows: int, *, given: str, patience: float | None
) -> tuple[list[Partition], dict[str, Partition]]:
    """Return the tables in staging that have rows, and the new partitions for some of them, by their names.

    Raises:
        LoadError: Rows are missing, or belong to no partition.
    """
    filled = staged.filled(session, staging)
    present = sum(count for _, count in filled)
    if present != rows:
        raise LoadError(
            f"{plural(rows, 'row was', 'rows were')} staged, but {present:,} are left: the server crashed meanwhile.",
            "Nothing was loaded. Run the load again.",
        )
    stray = sum(count for table, count in filled if table.bound == DEFAULT)
    made = place(session, staging, target, stray, given=given, patience=patience) if stray else {}
    return [table for table, _ in (staged.filled(session, staging) if stray else filled)], made


def _pattern(session: Session, made: Partition, table: Partition, above: str) -> Definition:
    """Return what a new partition is to be: as the table that was made for it, with the bound of its rows."""
    bound = session.value("SELECT pg_get_partition_constraintdef(%s::oid)", table.oid)
    constraint = f"({bound}) AND ({above})" if above else bound
    return replace(read(session, replace(made, bound=table.bound)), constraint=constraint)


def _build_one(session: Session, staging: Staging, definition: Definition, new: Partition) -> Replacement:
    """Complete the table that is to replace a partition, and take it out of staging."""
    _check_unchanged(session, definition, new)
    table = new.name
    for statement in rebuild.checks(definition, table):
        session.run(statement)
    _build_indexes(session, definition, table)
    for number, statistics in enumerate(definition.statistics):
        for statement in rebuild.statistics(statistics, table, rebuild.statistics_name(statistics, table, number)):
            session.run(statement)
    for statement in rebuild.settings(definition, table):
        session.run(statement)
    session.run(analyzing(table))
    _give(session, definition, table, new.oid)
    session.run(f"ALTER TABLE {staging.rows.quoted} DETACH PARTITION {table.quoted}")
    return Replacement(definition, table)


def _check_unchanged(session: Session, definition: Definition, new: Partition) -> None:
    """Check that the partition has the columns, and what is copied of it, that the table in staging was given.

    Raises:
        LoadError: It has others by now.
    """
    partition = definition.partition
    if columns_of(session, new.oid) != definition.columns:
        raise LoadError(
            f"The columns of {partition.name} were changed while rows were copied.",
            "Nothing was loaded. Run the load again.",
        )
    differences = set(copied(session, new.oid)) ^ set(definition.copied)
    if differences:
        changed = sorted({text.partition(":")[0] for text in differences})
        raise LoadError(
            f"{partition.name} was changed while rows were copied: {', '.join(changed)}.",
            "Nothing was loaded. Run the load again.",
        )


def _build_indexes(session: Session, definition: Definition, table: TableName) -> None:
    """Build the partition's indexes for the table.

    Raises:
        ConstraintViolated: The rows violate one.
    """
    for number, index in enumerate(definition.indexes):
        try:
            for statement in rebuild.index(index, table, rebuild.index_name(table, number)):
                session.run(statement)
        except ConstraintViolated as error:
            raise ConstraintViolated(
                f"Rows for {definition.partition.name} violate its index {index.name}: {error.message}",
                "Nothing was loaded.",
                error.sqlstate,
            ) from None


def _give(session: Session, definition: Definition, table: TableName, oid: int) -> None:
    """Give the table to the partition's owner, with the partition's privileges."""
    if session.value("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = %s::oid", oid) != definition.owner:
        session.run(f"ALTER TABLE {table.quoted} OWNER TO {quote_name(definition.owner)}")
    user = session.value("SELECT current_user::text")
    for number, statistics in enumerate(definition.statistics):
        if statistics.owner != user:
            name = rebuild.statistics_name(statistics, table, number)
            session.run(f"ALTER STATISTICS {name.quoted} OWNER TO {quote_name(statistics.owner)}")
    for statement in rebuild.grants(definition.grants, grants_of(session, oid), table):
        session.run(statement)
