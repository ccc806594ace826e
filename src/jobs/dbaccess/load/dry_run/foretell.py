"""What a load that replaces partitions is going to do, from the different keys of its rows. Nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.dbaccess import table_locks
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.dry_run.around import analyzing, preparing, recording, taking_turn
from jobs.dbaccess.load.dry_run.steps import COPY, PREPARE, PUBLISH, Known, Lock, Step
from jobs.dbaccess.load.partitions import new, rebuild, suitability
from jobs.dbaccess.load.partitions.catalog import DEFAULT, Partition, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import read
from jobs.dbaccess.load.partitions.missing.find import find
from jobs.dbaccess.load.partitions.missing.key import Missing, check_placed
from jobs.dbaccess.load.partitions.replace import Replacement
from jobs.dbaccess.load.partitions.swap import exchange
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal, quote_name

Keys = Sequence[Sequence[object]]
"""Different values of the partition key, as texts or None, in the order of `key_columns`."""

MOST_KEYS = 10_000
"""The largest number of different keys from which a plan is made."""


def key_columns(session: Session, target: TableName) -> list[tuple[str, str]]:
    """Return the columns of the partition key, and their types.

    Raises:
        UsageError: It has expressions.
    """
    found = session.run(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_partitioned_table "
        "CROSS JOIN unnest(partattrs::int2[]) WITH ORDINALITY AS k (number, place) "
        "LEFT JOIN pg_attribute ON (attrelid, attnum) = (partrelid, number) WHERE partrelid = to_regclass(%s) "
        "ORDER BY place",
        target.quoted,
    )
    if any(name is None for name, _ in found):
        raise UsageError(
            f"--dry-run cannot tell which partitions get rows: {target} is partitioned by an expression.",
            "docs/partitions.md describes the steps.",
        )
    return [(name, type_sql) for name, type_sql in found]


def foretell(session: Session, plan: PublishPlan, known: Known, keys: Keys) -> list[Step]:
    """Return the steps of a load.

    Raises:
        LoadError: A partition cannot be replaced, or none can be created.
    """
    target = plan.target
    with session.transaction(), exact_forms(session):
        rows = _relation(key_columns(session, target), keys)
        old = _touched(session, target, rows) if keys else []
        found = find(session, target, rows, plan.move.new_partitions or "auto") if keys else Missing()
        check_placed(target, found, "different keys")
        suitability.check_partitions(session, target, old)
        new.check_default(session, target, found.partitions)
        definitions = [read(session, partition) for partition in old]
        default = new.default_of(session, target)
    table = plan.staging.rows.sibling(f"{plan.staging.rows.name}_N")
    replacements = [Replacement(definition, table) for definition in definitions]
    return [
        *preparing(known),
        Step(PREPARE, f"CREATE TABLE {plan.staging.rows.quoted} (LIKE {target.quoted} ...) PARTITION BY ..."),
        Step(PREPARE, f"CREATE TABLE {table.quoted} (LIKE PARTITION ...)", condition=f"for each partition of {target}"),
        Step(COPY, plan.staging.copy_statement),
        *_publishing(plan, known, replacements, [one.name for one in old], default[0] if default else None),
        *_creating(plan, found),
        Step(PUBLISH, staging.dropping(plan.staging)),
        analyzing(plan, known),
    ]


def _relation(columns: Sequence[tuple[str, str]], keys: Keys) -> str:
    """Return what follows FROM to read the keys."""
    arrays = ", ".join(
        f"ARRAY[{', '.join(_written(row[place]) for row in keys)}]::text[]" for place in range(len(columns))
    )
    names = ", ".join(f"v{place}" for place in range(len(columns)))
    read_as = ", ".join(f"v{place}::{type_sql} AS {quote_name(name)}" for place, (name, type_sql) in enumerate(columns))
    return f"(SELECT {read_as} FROM unnest({arrays}) AS given ({names}))"


def _written(value: object) -> str:
    return "NULL" if value is None else quote_literal(str(value))


def _touched(session: Session, target: TableName, rows: str) -> list[Partition]:
    """Return the partitions to which keys belong, but for DEFAULT."""
    partitions = [partition for partition in partitions_of(session, target) if partition.bound != DEFAULT]
    if not partitions:
        return []
    constraints = session.run(
        "SELECT coalesce(pg_get_partition_constraintdef(oid), 'true') FROM unnest(%s::oid[]) WITH ORDINALITY "
        "AS u (oid, n) ORDER BY n",
        [partition.oid for partition in partitions],
    )
    judged = " UNION ALL ".join(
        f"SELECT {place} FROM (SELECT FROM {rows} AS r WHERE {text} LIMIT 1) AS found"
        for place, [text] in enumerate(constraints)
    )
    return [partitions[place] for [place] in session.run(judged)]


def _publishing(
    plan: PublishPlan,
    known: Known,
    replacements: Sequence[Replacement],
    old: Sequence[TableName],
    default: TableName | None,
) -> Iterator[Step]:
    yield recording(plan, known, PUBLISH)
    yield Step(PUBLISH, staging.locking(plan.staging))
    yield taking_turn(plan)
    yield from (Step(PUBLISH, statement) for statement in known.raising)
    for replacement in replacements:
        for number, index in enumerate(replacement.definition.indexes):
            name = rebuild.index_name(replacement.table, number)
            for statement in rebuild.index(index, replacement.table, name):
                yield Step(PUBLISH, statement)
    for mode, held in (
        (table_locks.SHARE_UPDATE_EXCLUSIVE, [plan.target]),
        (table_locks.ACCESS_EXCLUSIVE, [*([plan.target] if old else []), *old, *([default] if default else [])]),
    ):
        if held:
            names = ", ".join(f"ONLY {table.quoted}" for table in held)
            taken = tuple(Lock.of(str(table), mode) for table in held)
            yield Step(PUBLISH, f"LOCK TABLE {names} IN {mode} MODE", locks=taken)
    for replacement in replacements:
        for statement in exchange(plan.target, replacement):
            yield Step(PUBLISH, statement)


def _creating(plan: PublishPlan, found: Missing) -> Iterator[Step]:
    for one, attaching in zip(found.partitions, new.attaching(plan.target, found.partitions)):
        yield Step(PUBLISH, new.creating(plan.target, one))
        yield Step(PUBLISH, attaching)
