"""Find the partitions that rows lack. Nothing is created here."""

from __future__ import annotations

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import DataRejected, UsageError
from jobs.dbaccess.load.partitions.catalog import DEFAULT, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.missing import bounds, rules
from jobs.dbaccess.load.partitions.missing.key import (
    MOST,
    NOTHING,
    NUMBERS,
    TIMES,
    Key,
    Missing,
    Partitioned,
    check_few,
    key_of,
    named,
    not_known,
    unfit,
)
from jobs.dbaccess.load.partitions.missing.ranges import of_ranges
from jobs.dbaccess.load.partitions.missing.rules import AUTO, FLAG, MICROSECOND, NO, VALUE, Rule
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_literal

_STRATEGIES = {"r": "ranges", "l": "lists", "h": "hash"}


def find(session: Session, target: TableName, rows: str, given: str) -> Missing:
    """Return the partitions that rows need, and the table lacks. A DEFAULT partition does not count.

    Args:
        session: A session. Call this within `exact_forms`.
        target: The partitioned table.
        rows: What follows FROM: a relation with the columns of the key.
        given: The rule that the user gives, AUTO or NO.

    Raises:
        LoadError: No rule is known, or it does not go with the table.
    """
    if given == NO:
        return NOTHING
    key = key_of(session, target)
    present = tuple(partition for partition in partitions_of(session, target) if partition.bound != DEFAULT)
    table = Partitioned(target, key, present)
    check_fits(session, target, key, given)
    of_key = _of_values if key.strategy == "l" else of_ranges
    return _without_trees(table, of_key(session, table, rows, given))


def check_rule(session: Session, target: TableName, given: str) -> None:
    """Check that a rule, or AUTO, goes with a table, before anything is copied. Raises as `find`."""
    with session.transaction(), exact_forms(session):
        check_fits(session, target, key_of(session, target), given)


def check_fits(session: Session, target: TableName, key: Key, given: str) -> None:
    """Check that a rule, or AUTO, goes with the partition key of a table. Raises as `find`."""
    if key.strategy == "l" and key.columns == 1 and not key.type_sql.endswith("[]"):
        if given not in (AUTO, NO, VALUE):
            raise unfit(target, given, "lists")
        return
    if key.strategy == "h" or key.columns != 1:
        what = f"{key.columns} columns" if key.columns > 1 else _STRATEGIES[key.strategy]
        raise not_known(target, f"it is partitioned by {what}")
    if key.type_name not in (*TIMES, *NUMBERS):
        raise not_known(target, f"its key is of the type {key.type_sql}")
    rule = rules.parse(given)
    if rule is None:
        return
    is_fine = rule.unit == MICROSECOND and key.type_name == "date"
    if rule.unit == VALUE or rule.is_of_times != (key.type_name in TIMES) or is_fine:
        raise unfit(target, given, f"ranges of {key.type_sql}")
    if rule.zone:
        _check_zone(session, rule.zone)


def _check_zone(session: Session, zone: str) -> None:
    try:
        session.run("SELECT now() AT TIME ZONE %s", zone)
    except DataRejected as error:
        raise UsageError(f"{FLAG}: {zone!r}: {error.message}", "Name it as pg_timezone_names does.") from None


def _without_trees(table: Partitioned, found: Missing) -> Missing:
    if found.partitions and any(partition.kind == tables.PARTITIONED for partition in table.partitions):
        raise not_known(table.name, "its partitions are partitioned themselves")
    return found


def _of_values(session: Session, table: Partitioned, rows: str, given: str) -> Missing:
    target, key, present = table.name, table.key, table.partitions
    listed = [bounds.values(partition.bound) or [] for partition in present]
    has_null = any(None in texts for texts in listed)
    known = [text for texts in listed for text in texts if text is not None]
    counted = session.ask(
        f"SELECT v::text, count(*) FROM (SELECT {key.sql} AS v FROM {rows} AS r) AS keys "
        f"WHERE CASE WHEN v IS NULL THEN $1::bool ELSE v <> ALL ($2::text[]::{key.type_sql}[]) END "
        f"GROUP BY v ORDER BY v LIMIT {MOST + 1}",
        (not has_null, known),
    ).rows
    if counted and given == AUTO and any(len(texts) != 1 for texts in listed):
        raise not_known(target, "some of its partitions have several values")
    check_few(target, len(counted))
    new = [(text, *_listing(key, text)) for text, _ in counted]
    return Missing(named(session, target, Rule(VALUE), (), new), sum(count for _, count in counted))


def _listing(key: Key, text: str | None) -> tuple[str, str]:
    if text is None:
        return "FOR VALUES IN (NULL)", f"{key.sql} IS NULL"
    return f"FOR VALUES IN ({quote_literal(text)})", f"{key.sql} = {quote_literal(text)}::{key.type_sql}"
