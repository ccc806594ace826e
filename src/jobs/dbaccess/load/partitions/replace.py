"""Complete the tables that were loaded beside partitions, in the publishing transaction, while nobody waits for it."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.dbaccess.errors import ConstraintViolated, LoadError
from jobs.dbaccess.load.partitions import rebuild, staged, suitability
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import Definition, columns_of, copied, grants_of, read
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.statistics import analyzing
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name, quote_names


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
    differences = set(copied(session, new.oid)) ^ set(definition.copied)
    if differences:
        changed = sorted({text.partition(":")[0] for text in differences})
        raise LoadError(
            f"{partition.name} was changed while rows were copied: {', '.join(changed)}.",
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
    for number, statistics in enumerate(definition.statistics):
        for statement in rebuild.statistics(statistics, table, rebuild.statistics_name(statistics, table, number)):
            session.run(statement)
    for statement in rebuild.settings(definition, table):
        session.run(statement)
    session.run(analyzing(table))
    _give(session, definition, table, new.oid)
    session.run(f"ALTER TABLE {staging.rows.quoted} DETACH PARTITION {table.quoted}")
    return Replacement(definition, table)


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
