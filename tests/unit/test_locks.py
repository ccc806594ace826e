"""Advisory locks: their names are what sessions exclude each other by."""

from __future__ import annotations

from jobs.dbaccess import locks
from jobs.dbaccess.sql import TableName


def test_names_are_those_of_earlier_versions() -> None:
    """While an upgrade is rolled out, two versions work in one database."""
    rows = TableName("pgjobs_rows_0123456789abcdef0123456789abcdef", "shop")
    taken = [
        locks.load("x"),
        locks.load("x", TableName("marks", "etl")),
        locks.staging(rows),
        locks.publish(TableName("t", "public")),
        locks.own_table("table_updates"),
        locks.watermark("w"),
    ]
    assert [lock.name for lock in taken] == [
        "pgjobs load x",
        "pgjobs load x of etl.marks",
        rows.name,
        "pgjobs publish public.t",
        "pgjobs table_updates",
        "pgjobs watermark w",
    ]
