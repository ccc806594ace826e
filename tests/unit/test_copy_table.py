"""The command line of copy_table.py."""

from __future__ import annotations

import pytest

from jobs.copy_table import check_arguments, parse
from jobs.dbaccess.errors import UsageError

FROM = ["--source-url", "postgresql://a@b/c"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--table", "t"],
        FROM,
        [*FROM, "--source-service", "s", "--table", "t"],
        [*FROM, "--table", "t", "--mode", "ignore"],
        [*FROM, "--table", "t", "--columns", "a,,b"],
        [*FROM, "--table", "t", "--parallelism", "0"],
    ],
)
def test_wrong_flags_have_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    assert "usage: copy_table.py" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--table", "a.b.c"], "is not a table's name"),
        (["--table", "t", "--source-table", "a.b.c"], "is not a table's name"),
        (["--table", "t", "--mode", "upsert"], "keys"),
    ],
)
def test_a_wrong_value_is_refused_before_a_run_is_paid_for(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_arguments([*FROM, *arguments])
