"""What an extract to files refuses before it connects, and its report."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import ExtractReport, FilesJob
from jobs.flows.extract.plan import Wanted


def job(*, table: bool = True, mode: str = "append", ordinal: str = "", mark: str = "", **wanted: object) -> FilesJob:
    what = Wanted(TableName("t"), **wanted) if table else Wanted(query="SELECT 1")  # type: ignore[arg-type] # a test's
    return FilesJob(what, Settings("d", "u"), "x", write_mode=mode, ordinal_column=ordinal, watermark_id=mark)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (job(ordinal="c"), "for incremental extracts"),
        (replace(job(), deletes=True), "since the last run of a watermark"),
        (replace(job(mark="m", unbounded="fit"), deletes=True), "must not depend on its values"),
        (job(table=False, mark="m", ordinal="c"), "The new rows of a query"),
        (job(mode="overwrite", mark="m", ordinal="c"), "only appends"),
        (job(mark="m", ordinal="c", text_columns=("c",)), "greatest text is not the greatest ordinal"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(wrong: FilesJob, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wrong.check()


REPORT = ExtractReport("s.t", "x/run=2", 1234, 5_600_000, 2, "5:9:7", "17", "42", None, {"read": 1.5, "total": 2.0})


def test_the_report_is_json_with_these_fields() -> None:
    fields = "source target rows bytes parts snapshot watermark_from watermark_to deletes seconds relation columns"
    assert list(json.loads(REPORT.to_json())) == fields.split()


def test_the_summary_counts_deletes_if_they_are_told() -> None:
    assert "extracted 1,234 rows and 1 delete of s.t to" in replace(REPORT, deletes=1).summary()


def test_the_summary_tells_rows_rate_and_watermark() -> None:
    assert REPORT.summary() == (
        "extracted 1,234 rows of s.t to x/run=2 in 2.0 s: 617 rows/s, 5.6 MB in 2 parts\n"
        "  read 1.5 s; watermark 17 -> 42"
    )
