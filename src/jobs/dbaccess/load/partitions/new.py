"""Partitions that do not exist yet: made from their table's definition, and attached.

ATTACH PARTITION locks the table in SHARE UPDATE EXCLUSIVE mode, for which no reader and no writer waits; CREATE TABLE
.. PARTITION OF would take ACCESS EXCLUSIVE. A DEFAULT partition is locked exclusively, and read, by both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import LoadError, plural
from jobs.dbaccess.load.partitions.catalog import Partition
from jobs.dbaccess.load.partitions.missing import naming
from jobs.dbaccess.load.partitions.missing.key import Wanted
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name

_LIKE = (
    "INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION "
    "INCLUDING COMMENTS INCLUDING INDEXES"
)


_NAMED = 3
"""How many partitions a message names."""


@dataclass(frozen=True)
class Storage:
    """The access method and the tablespace of new partitions of a table, as CREATE TABLE writes them, or empty."""

    method: str
    space: str


def storage_of(session: Session, target: TableName) -> Storage:
    """Return where the partitions of a table are stored that do not say it themselves."""
    method, space = session.row(
        2,
        "SELECT coalesce(m.amname, ''), coalesce(s.spcname, '') FROM pg_class c LEFT JOIN pg_am m ON m.oid = c.relam "
        "LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace WHERE c.oid = to_regclass(%s)",
        target.quoted,
    )
    return Storage(
        f" USING {quote_name(method)}" if method else "", f" TABLESPACE {quote_name(space)}" if space else ""
    )


def create(session: Session, target: TableName, wanted: Sequence[Wanted]) -> tuple[Partition, ...]:
    """Create tables that can be attached as partitions. They belong to the table's owner, and are in its tablespace."""
    if not wanted:
        return ()
    owner, is_owner = session.row(
        2,
        "SELECT pg_get_userbyid(relowner), pg_get_userbyid(relowner) = current_user FROM pg_class "
        "WHERE oid = to_regclass(%s)",
        target.quoted,
    )
    where = storage_of(session, target)
    statements = []
    for one in wanted:
        name = one.name.quoted
        statements.append(f"{creating(target, one)}{where.method}{where.space}")
        if not is_owner:
            statements.append(f"ALTER TABLE {name} OWNER TO {quote_name(owner)}")
    session.run("; ".join(statements))
    oids = session.run(
        "SELECT to_regclass(name)::oid::bigint FROM unnest(%s::text[]) WITH ORDINALITY AS u (name, n) ORDER BY n",
        [one.name.quoted for one in wanted],
    )
    return tuple(Partition(oid, one.name, "r", one.bound) for one, [oid] in zip(wanted, oids))


def creating(target: TableName, wanted: Wanted) -> str:
    """Return the statement that creates a table which can be attached, without where it is stored."""
    return f"CREATE TABLE {wanted.name.quoted} (LIKE {target.quoted} {_LIKE})"


def numbered(target: TableName, bounds: Sequence[str]) -> list[Wanted]:
    """Return partitions with these bounds, numbered from 0."""
    names = [naming.numbered(target.name, number) for number in range(len(bounds))]
    return [Wanted(target.sibling(name), bound) for name, bound in zip(names, bounds)]


def add(session: Session, target: TableName, bounds: Sequence[str]) -> tuple[TableName, ...]:
    """Create and attach partitions with these bounds, numbered from 0. Return their names."""
    wanted = numbered(target, bounds)
    create(session, target, wanted)
    session.run("; ".join(attaching(target, wanted)))
    return tuple(one.name for one in wanted)


def attaching(target: TableName, wanted: Sequence[Wanted]) -> Iterator[str]:
    """Yield the statements that attach tables."""
    for one in wanted:
        yield f"ALTER TABLE {target.quoted} ATTACH PARTITION {one.name.quoted} {one.bound}"


def default_of(session: Session, target: TableName) -> tuple[TableName, int] | None:
    """Return the DEFAULT partition of a table, and its size in bytes."""
    found = session.run(
        "SELECT n.nspname, c.relname, pg_relation_size(c.oid) FROM pg_partitioned_table p "
        "JOIN pg_class c ON c.oid = p.partdefid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE p.partrelid = to_regclass(%s)",
        target.quoted,
    )
    return (TableName(found[0][1], found[0][0]), found[0][2]) if found else None


def check_default(session: Session, target: TableName, wanted: Sequence[Wanted]) -> None:
    """Check that a DEFAULT partition has no rows that belong to a new partition.

    Raises:
        LoadError: It has some.
    """
    default = default_of(session, target)
    if default is None or not wanted:
        return
    conditions = " OR ".join(f"({one.condition})" for one in wanted)
    [[count]] = session.run(f"SELECT count(*) FROM {default[0].quoted} WHERE {conditions}")
    if count:
        raise LoadError(
            f"{default[0]}, the DEFAULT partition of {target}, has "
            f"{plural(count, 'row that belongs', 'rows that belong')} to new partitions: "
            f"{', '.join(str(one.name) for one in wanted[:_NAMED])}{' ...' if wanted[_NAMED:] else ''}.",
            "Nothing was loaded. Move these rows first: detach the DEFAULT partition, load, insert its rows into the "
            "table, and attach it again.",
        )
