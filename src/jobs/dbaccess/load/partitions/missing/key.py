"""The partition key of a table, its partitions, and those that rows lack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.partitions.catalog import Partition
from jobs.dbaccess.load.partitions.missing import naming
from jobs.dbaccess.load.partitions.missing.rules import FLAG, Rule
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

MOST = 1000
"""The largest number of partitions that a load creates."""

TIMES = ("date", "timestamp", "timestamptz")
NUMBERS = ("int2", "int4", "int8", "numeric")
"""The types of keys whose ranges can follow a rule, as in pg_type."""


@dataclass(frozen=True)
class Wanted:
    """A partition to create: its name, its bound, as in ATTACH PARTITION, and the SQL condition that its rows meet."""

    name: TableName
    bound: str
    condition: str = "false"


@dataclass(frozen=True)
class Missing:
    """What rows lack.

    Attributes:
        partitions: The partitions to create.
        rows: How many rows belong to them.
        unplaced: How many other rows belong to none: their key is NULL or infinite, or not within the years 1 to 9999.
    """

    partitions: tuple[Wanted, ...] = ()
    rows: int = 0
    unplaced: int = 0


NOTHING = Missing()


@dataclass(frozen=True)
class Key:
    """The partition key.

    Attributes:
        strategy: The partstrat in pg_partitioned_table.
        columns: How many columns it has.
        sql: Its only column or expression.
        type_sql: Its type for a cast, without a length.
        type_name: Its typname in pg_type.
    """

    strategy: str
    columns: int
    sql: str
    type_sql: str = ""
    type_name: str = ""


@dataclass(frozen=True)
class Partitioned:
    """A partitioned table, its key, and its partitions but for DEFAULT."""

    name: TableName
    key: Key
    partitions: tuple[Partition, ...]


def key_of(session: Session, target: TableName) -> Key:
    """Return the partition key of a table.

    Raises:
        LoadError: Others have put a table without partitions in its place.
    """
    found = session.run(
        "SELECT partstrat::text, partnatts::int, coalesce(attname, ''), "
        "coalesce(pg_get_expr(partexprs, partrelid), '') "
        "FROM pg_partitioned_table LEFT JOIN pg_attribute ON (attrelid, attnum) = (partrelid, partattrs[0]) "
        "WHERE partrelid = to_regclass(%s)",
        target.quoted,
    )
    if not found:
        raise LoadError(f"{target} is not partitioned any more.", "Nothing was loaded. Run the load again.")
    strategy, columns, column, expression = found[0]
    if columns > 1:
        return Key(strategy, columns, "")
    sql = quote_name(column) if column else f"({expression})"
    type_sql, type_name = session.row(
        2,
        "SELECT format_type(b.oid, -1), b.typname FROM pg_type t JOIN pg_type b "
        "ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END "
        f"WHERE t.oid = pg_typeof((SELECT {sql} FROM {target.quoted} WHERE false))",
    )
    return Key(strategy, columns, sql, type_sql=type_sql, type_name=type_name)


def not_known(target: TableName, why: str) -> LoadError:
    """Return an error for rows whose partitions no rule determines."""
    return LoadError(
        f"It is unknown which partitions of {target} to create for rows that have none: {why}.",
        f"Nothing was loaded. Create the partitions, or give a rule: {FLAG} day, month, '1 week', 1000, value.",
    )


def _taken(session: Session, target: TableName) -> set[str]:
    names = session.run("SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%s)", _schema(target))
    return {name for [name] in names}


def _schema(target: TableName) -> str:
    return quote_name(target.schema or "public")


def named(
    session: Session,
    target: TableName,
    rule: Rule,
    others: Sequence[tuple[str, int]],
    new: Sequence[tuple[Any, str, str]],
) -> tuple[Wanted, ...]:
    """Return new partitions with names, by their lower bounds or values, their bounds and conditions."""
    taken, wanted = _taken(session, target), []
    for low, bound, condition in new:
        name = naming.name(target.name, low, rule, others, taken)
        taken.add(name)
        wanted.append(Wanted(target.sibling(name), bound, condition))
    return tuple(wanted)


def check_few(target: TableName, count: int) -> None:
    """Check that rows lack a moderate number of partitions.

    Raises:
        LoadError: They lack more than MOST.
    """
    if count > MOST:
        raise LoadError(
            f"Rows belong to more than {MOST:,} partitions that {target} does not have.",
            f"Nothing was loaded. Give larger partitions by {FLAG}, or create them first.",
        )


def check_placed(target: TableName, found: Missing, what: str = "rows", instead: str = "a partition") -> None:
    """Check that a partition can be created for each row that has none.

    Args:
        target: The table.
        found: What the rows lack.
        what: What was counted.
        instead: What takes such rows.

    Raises:
        LoadError: That is not so.
    """
    if found.unplaced:
        raise LoadError(
            f"{found.unplaced:,} {what} have no value in the partition key of {target} by which a partition could be "
            "created: NULL, infinity, or a time that is not within the years 1 to 9999.",
            f"Nothing was loaded. Leave them out with --select, or create {instead} for them.",
        )


def unfit(target: TableName, given: str, what: str) -> LoadError:
    """Return an error for a rule of the user that does not go with the table."""
    return LoadError(
        f"{FLAG} {given!r} is not a rule for {target}, which is partitioned by {what}.", "Nothing was loaded."
    )
