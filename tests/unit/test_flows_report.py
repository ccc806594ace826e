"""What a run tells."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jobs.dbaccess.errors import plural
from jobs.dbaccess.load.verify import Verified
from jobs.flows.report import LoadReport, SourceTable, Stopwatch

DONE = LoadReport(
    load_id="orders/1",
    table="public.orders",
    mode="append",
    rows_read=1000,
    rows_staged=1000,
    rows_inserted=1000,
    bytes_copied=2_500_000,
    parts=2,
    attempts_discarded=1,
    seconds={"prepare": 1.0, "copy": 0.75, "publish": 0.2, "analyze": 0.05, "total": 2.0},
)


def test_the_json_report_has_every_promised_field() -> None:
    assert list(json.loads(DONE.to_json())) == [
        "load_id",
        "table",
        "mode",
        "rows_read",
        "rows_staged",
        "rows_inserted",
        "rows_updated",
        "rows_unchanged",
        "rows_ignored",
        "rows_deleted",
        "bytes_copied",
        "parts",
        "attempts_discarded",
        "already_loaded",
        "seconds",
        "records_malformed",
        "partitions_replaced",
        "partitions_created",
        "columns_added",
        "columns_widened",
        "verified",
        "before_sql",
        "after_sql",
        "over_connect",
        "publish",
        "columns",
        "parts_kept",
        "rows_rejected",
        "rejects_table",
        "rejected_by",
        "source_table",
        "source_state",
        "nothing_new",
    ]
    assert list(json.loads(DONE.to_json())["seconds"]) == ["prepare", "copy", "publish", "analyze", "total"]


def test_the_summary_tells_rows_speed_and_phases() -> None:
    assert DONE.summary() == (
        "loaded 1,000 rows into public.orders in 2.0 s: 500 rows/s, 2.5 MB in 2 parts\n"
        "  prepare 1.0 s, copy 0.8 s, publish 0.2 s, analyze 0.1 s; load id 'orders/1'; 1 attempt discarded"
    )


@pytest.mark.parametrize(
    ("rows", "size", "figures"),
    [
        (0, 0, "0 bytes in 2 parts"),
        (3, 70, "70 bytes in 2 parts"),
        (999, 12_300, "12.3 kB in 2 parts"),
        (1000, 5_600_000, "500 rows/s, 5.6 MB in 2 parts"),
        (9_000_000, 1_500_000_000, "4,500,000 rows/s, 1.5 GB in 2 parts"),
    ],
)
def test_a_size_has_a_unit_that_shows_it_and_a_few_rows_have_no_rate(rows: int, size: int, figures: str) -> None:
    report = replace(DONE, rows_inserted=rows, rows_staged=rows, bytes_copied=size)
    assert f"loaded {rows:,} rows into public.orders in 2.0 s: {figures}\n" in report.summary()


def test_one_row_is_not_rows() -> None:
    assert replace(DONE, rows_inserted=1).summary().startswith("loaded 1 row into public.orders")


def test_a_load_that_took_no_measurable_time_has_no_rate() -> None:
    assert " in 0.0 s: 2.5 MB in 2 parts\n" in replace(DONE, seconds={"total": 0.0}).summary()


def test_what_was_verified_is_told_and_what_was_not() -> None:
    report = replace(DONE, verified=Verified(1000, ("id", "name"), ("data",)))
    assert report.summary().splitlines()[-1] == "  verified: 1,000 rows in 2 columns; not compared: data"
    assert json.loads(report.to_json())["verified"] == {
        "rows": 1000,
        "columns": ["id", "name"],
        "not_compared": ["data"],
    }


def test_the_summary_of_a_load_done_before_says_so() -> None:
    report = LoadReport("orders/1", "public.orders", "append", already_loaded=True)
    assert report.summary() == "already loaded: public.orders holds the load 'orders/1'. Nothing was copied."


def test_a_phase_that_comes_twice_is_added_up() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.phase("copy"):
            pass
    assert list(watch.seconds()) == ["copy", "total"]


def test_one_has_no_s() -> None:
    assert (plural(1, "part"), plural(1200, "part")) == ("1 part", "1,200 parts")


def test_the_summary_names_a_table_of_sparks_catalogs_and_its_version() -> None:
    of_iceberg = SourceTable("lake.db.t", "iceberg", "798150000853375807", ("s3://bucket/db/t",))
    assert "\n  read: lake.db.t, snapshot 798150000853375807" in replace(DONE, source_table=of_iceberg).summary()
    of_delta = SourceTable("db.t", "delta", "12")
    assert "\n  read: db.t, version 12" in replace(DONE, source_table=of_delta).summary()
    assert replace(DONE, source_table=SourceTable("db.v")).summary().endswith("\n  read: db.v")
