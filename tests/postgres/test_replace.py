"""Replacing partitions: those that get rows hold the new ones alone, and are otherwise what they were."""

from __future__ import annotations

import pytest
from publishing import AB, T, counts, load, rows_of

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, LoadError, TransientError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions.catalog import Partition, exact_forms, partitions_of
from jobs.dbaccess.load.partitions.definition import Definition, read
from jobs.dbaccess.session import Session

REPLACE = Move("replace-partitions", AB)

TENS = (
    "CREATE TABLE t (a int NOT NULL, b text) PARTITION BY RANGE (a);"
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);"
    "INSERT INTO t SELECT a, 'old' FROM generate_series(0, 19) AS a;"
)


def definitions(session: Session) -> dict[str, Definition]:
    with session.transaction(), exact_forms(session):
        return {partition.name.name: read(session, partition) for partition in partitions_of(session, T)}


def left(session: Session) -> list[str]:
    return [
        n
        for [n] in session.run(
            "SELECT relname FROM pg_class WHERE relname LIKE 'pgjobs%' AND relkind IN ('r', 'p', 'i')"
        )
    ]


KEYS = {
    "range": ("RANGE (a)", "FROM (0) TO (10)", "FROM (10) TO (20)"),
    "list": ("LIST (a)", "IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)", "IN (10, 11, 12, 13, 14, 15, 16, 17, 18, 19)"),
    "an expression": ("RANGE ((a / 10))", "FROM (0) TO (1)", "FROM (1) TO (2)"),
    "two columns": ("RANGE (a, b)", "FROM (0, MINVALUE) TO (10, MINVALUE)", "FROM (10, MINVALUE) TO (20, MINVALUE)"),
}


@pytest.mark.parametrize("key", KEYS)
def test_a_partition_that_gets_rows_holds_them_alone_and_the_others_stay(session: Session, key: str) -> None:
    by, low, high = KEYS[key]
    session.run(
        f"CREATE TABLE t (a int NOT NULL, b text) PARTITION BY {by}; CREATE INDEX ON t (b);"
        f"CREATE TABLE low PARTITION OF t FOR VALUES {low}; CREATE TABLE high PARTITION OF t FOR VALUES {high};"
        "INSERT INTO t SELECT a, 'old' FROM generate_series(0, 19) AS a"
    )
    before = definitions(session)
    published = load(session, REPLACE, [(12, "new"), (11, "new")])
    assert counts(published) == (2, 0, 0)
    assert [table.name for table in published.replaced] == ["high"]
    assert rows_of(session) == [*([a, "old"] for a in range(10)), [11, "new"], [12, "new"]]
    after = definitions(session)
    assert after["low"] == before["low"]
    assert alike(after["high"], before["high"])
    assert left(session) == []


def alike(new: Definition, old: Definition) -> bool:
    """Whether two definitions are the same, but for the oid of the table."""
    from dataclasses import replace

    return replace(new, partition=old.partition) == old and new.partition.oid != old.partition.oid
