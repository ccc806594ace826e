"""The command line of load_table.py."""

from __future__ import annotations

import pytest

from jobs.load_table import build_parser, parse


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--source", "x"],
        ["--source", "x", "--table", "t", "--mode", "bogus"],
        ["--source", "x", "--table", "t", "--format", "bogus"],
        ["--source", "x", "--table", "t", "--parallelism", "0"],
        ["--source", "x", "--table", "t", "--bogus"],
    ],
)
def test_wrong_flags_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: load_table.py" in capsys.readouterr().err


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["--help"])
    assert caught.value.code == 0
    assert "spark-submit load_table.py --source s3://" in capsys.readouterr().out
