"""The command line of extract_table.py."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.extract_table import build_parser, check_arguments, parse


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
        ["--table", "t", "--tables", "s.*", "--target", "x"],
        ["--tables", "--target", "x"],
        ["--tables", "s.*"],
        ["--table", "t", "--exclude-tables", "s.*", "--target", "x"],
    ],
)
def test_wrong_flags_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: extract_table.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--columns", "a"],
        ["--filter", "a > 1"],
        ["--split-by", "a"],
        ["--text-columns", "a"],
        ["--watermark-id", "w"],
        ["--ordinal-column", "a"],
        ["--deletes"],
        ["--restart-watermark"],
    ],
)
def test_a_flag_of_one_table_is_refused_for_many(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--tables", "s.*", "--target", "x", *flags])
    assert caught.value.code == 2
    assert f"argument {flags[0]}: not allowed with argument --tables" in capsys.readouterr().err


def test_a_wrong_pattern_is_refused_before_a_run_is_paid_for() -> None:
    with pytest.raises(UsageError, match="is not a pattern for tables"):
        check_arguments(["--tables", "a.b.c", "--target", "x"])


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    assert "spark-submit extract_table.py --table sales.orders" in capsys.readouterr().out
