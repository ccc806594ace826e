"""The report of an extract of many tables."""

from __future__ import annotations

import json

from jobs.flows.extract.job import ExtractReport
from jobs.flows.extract.tables_job import TablesReport


def one(name: str, rows: int) -> ExtractReport:
    return ExtractReport(f"s.{name}", f"x/s/{name}", rows, rows * 100_000, 2, "5:9:7", seconds={"total": 0.5})


REPORT = TablesReport(
    source="s.*",
    target="x",
    rows=31,
    bytes=3_100_000,
    parts=4,
    snapshot="5:9:7",
    tables=(one("a", 30), one("b", 1)),
    seconds={"prepare": 0.5, "read": 1.5, "total": 2.0},
)


def test_the_report_is_json_with_the_report_of_each_table() -> None:
    fields = json.loads(REPORT.to_json())
    names = "source target rows bytes parts snapshot tables seconds"
    assert list(fields) == names.split()
    assert [(each["source"], each["target"], each["rows"]) for each in fields["tables"]] == [
        ("s.a", "x/s/a", 30),
        ("s.b", "x/s/b", 1),
    ]


def test_the_summary_has_a_line_for_each_table() -> None:
    assert REPORT.summary().splitlines() == [
        "extracted 2 tables with 31 rows to x in 2.0 s: 3.1 MB in 4 parts",
        "  prepare 0.5 s, read 1.5 s",
        "  s.a: 30 rows, 3.0 MB in 2 parts, 0.5 s",
        "  s.b: 1 row, 100.0 kB in 2 parts, 0.5 s",
    ]
