"""The command line of load_table.py."""

from __future__ import annotations

import pytest

from jobs.cli.load_of import job_of
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.load_table import build_parser, check_arguments, parse


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--source", "x"],
        ["--source", "x", "--table", "t", "--mode", "bogus"],
        ["--source", "x", "--table", "t", "--format", "bogus"],
        ["--source", "x", "--table", "t", "--parallelism", "0"],
        ["--source", "x", "--table", "t", "--bogus"],
        ["--source", "x", "--table", "t", "--before-sql", "SELECT 1", "--before-sql-file", "x.sql"],
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--before-sql", "SELECT 1; COMMIT"], "--before-sql, line 1: COMMIT begins or ends a transaction"),
        (["--after-sql", ""], "--after-sql contains no statement"),
        (["--mode", "overwrite", "--overwrite-where", ""], "--overwrite-where is empty"),
        (["--overwrite-where", "true"], "--overwrite-where does not go with the mode append"),
        (["--column-type", "bigserial"], "--column-type 'bigserial' is not NAME=TYPE"),
        (["--column-type", "id=int", "--column-type", "id=text"], "--column-type defines id more than once"),
        (
            ["--metadata-columns", "a=int", "b=int, c int"],
            "--metadata-columns: 'int, c int' is not the type of one column",
        ),
        (["--column-type", "a=int", "--metadata-columns", "a=int"], "--metadata-columns defines a more than once"),
        (
            ["--publish", "parts", "--load-id", "x", "--schema-mode", "widen"],
            "no transaction of the whole load in which --schema-mode could change columns",
        ),
        (["--marker-table", "a.b.c"], "'a.b.c' is not a table's name"),
    ],
)
def test_sql_that_cannot_be_right_is_refused_before_a_run(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_arguments(["--source", "x", "--table", "t", *arguments])


def test_flags_of_columns_and_text_reach_the_load() -> None:
    options = parse(["--source", "x", "--table", "t", "--schema-mode", "widen", "--nul", "replace"])
    job = job_of(options, {}, Settings("shop", "me"))
    assert (job.defined.schema_mode, job.nul) == ("widen", "replace")
