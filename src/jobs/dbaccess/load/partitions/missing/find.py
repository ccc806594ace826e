"""Find the partitions that rows lack. Nothing is created here."""

from __future__ import annotations

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.load.partitions.catalog import DEFAULT, partitions_of
from jobs.dbaccess.load.partitions.missing import bounds
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
from jobs.dbaccess.load.partitions.missing.rules import AUTO, NO, VALUE, Rule
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
    if key.strategy == "l" and key.columns == 1:
        return _without_trees(table, _of_values(session, table, rows, given))
    if key.strategy != "r" or key.columns != 1:
        what = f"{key.columns} columns" if key.columns > 1 else _STRATEGIES[key.strategy]
        raise not_known(target, f"it is partitioned by {what}")
    if key.type_name not in (*TIMES, *NUMBERS):
        raise not_known(target, f"its key is of the type {key.type_sql}")
    return _without_trees(table, of_ranges(session, table, rows, given))


def _without_trees(table: Partitioned, found: Missing) -> Missing:
    if found.partitions and any(partition.kind == tables.PARTITIONED for partition in table.partitions):
        raise not_known(table.name, "its partitions are partitioned themselves")
    return found


def _of_values(session: Session, table: Partitioned, rows: str, given: str) -> Missing:
    target, key, present = table.name, table.key, table.partitions
    if given not in (AUTO, VALUE):
        raise unfit(target, given, "lists")
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
