"""The command line of extract_table.py."""

from __future__ import annotations

import pytest

from jobs.extract_table import build_parser, parse


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
