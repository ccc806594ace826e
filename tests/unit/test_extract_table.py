"""The command line of extract_table.py, what it refuses before it connects, and its report."""

from __future__ import annotations

import json

import pytest

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName
from jobs.extract_table import build_parser, parse
from jobs.flows.extract.incremental import with_ordinal
from jobs.flows.extract.job import ExtractReport, FilesJob
from jobs.flows.extract.plan import Wanted


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--target", "x"],
        ["--table", "t"],
        ["--table", "t", "--query", "SELECT 1", "--target", "x"],
        ["--table", "t", "--target", "x", "--columns", ""],
        ["--table", "t", "--target", "x", "--columns", "a,,b"],
        ["--table", "t", "--target", "x", "--format", "xml"],
        ["--table", "t", "--target", "x", "--write-mode", "ignore"],
        ["--table", "t", "--target", "x", "--parallelism", "0"],
    ],
)
def test_wrong_flags_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: extract_table.py" in capsys.readouterr().err


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    assert "spark-submit extract_table.py --table sales.orders" in capsys.readouterr().out


def job(*, table: bool = True, mode: str = "append", ordinal: str = "", mark: str = "", **wanted: object) -> FilesJob:
    what = Wanted(TableName("t"), **wanted) if table else Wanted(query="SELECT 1")  # type: ignore[arg-type] # a test's
    return FilesJob(what, Settings("d", "u"), "x", write_mode=mode, ordinal_column=ordinal, watermark_id=mark)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (job(mark="m"), "takes both"),
        (job(ordinal="c"), "takes both"),
        (job(table=False, mark="m", ordinal="c"), "Which rows of a query are new"),
        (job(mode="overwrite", mark="m", ordinal="c"), "adds to what is there"),
        (job(mark="m", ordinal="c", text_columns=("c",)), "greatest text is not the greatest ordinal"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(wrong: FilesJob, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        wrong.check()


def test_the_ordinal_column_comes_along() -> None:
    assert with_ordinal(Wanted(columns=("a",)), "c").columns == ("a", "c")
    assert with_ordinal(Wanted(columns=("a", "c")), "c").columns == ("a", "c")
    assert with_ordinal(Wanted(), "c").columns == ()
    assert with_ordinal(Wanted(columns=("a",)), "").columns == ("a",)


REPORT = ExtractReport("s.t", "x/run=2", 1234, 5_600_000, 2, "5:9:7", "17", "42", {"read": 1.5, "total": 2.0})


def test_the_report_is_json_with_these_fields() -> None:
    fields = "source target rows bytes parts snapshot watermark_from watermark_to seconds"
    assert list(json.loads(REPORT.to_json())) == fields.split()


def test_the_summary_tells_rows_rate_and_watermark() -> None:
    assert REPORT.summary() == (
        "extracted 1,234 rows of s.t to x/run=2 in 2.0 s: 617 rows/s, 5.6 MB in 2 parts\n"
        "  read 1.5 s; watermark 17 -> 42"
    )
