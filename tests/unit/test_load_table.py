"""The command line of load_table.py."""

from __future__ import annotations

import pytest

from jobs.cli.load_of import job_of, source_of
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.flows.load.files import Files
from jobs.flows.source_tables import CatalogTable
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
        ["--source-table", "db.t"],
        ["--source", "x", "--source-table", "db.t", "--table", "t"],
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


FOLLOWING = ["--mode", "upsert", "--keys", "id", "--changes-since-ledger"]


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
        (["--changes-since-ledger"], "--changes-since-ledger loads changes of rows that keys identify"),
        ([*FOLLOWING, "--delete-missing"], "it takes no --delete-missing"),
        ([*FOLLOWING, "--on-error", "quarantine"], "puts no rows aside"),
        ([*FOLLOWING, "--keep-staging", "--load-id", "x"], "keeps no staging"),
        ([*FOLLOWING, "--dry-run"], "--dry-run shows no plan of --changes-since-ledger"),
        ([*FOLLOWING, "--source", "a", "b"], "reads the batches of one folder"),
        ([*FOLLOWING, "--source-version", "7"], "leads to the current version"),
    ],
)
def test_sql_that_cannot_be_right_is_refused_before_a_run(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_arguments(["--source", "x", "--table", "t", *arguments])


def test_flags_of_columns_and_text_reach_the_load() -> None:
    options = parse(["--source", "x", "--table", "t", "--schema-mode", "widen", "--nul", "replace"])
    job = job_of(options, {}, Settings("shop", "me"))
    assert (job.defined.schema_mode, job.nul) == ("widen", "replace")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--source-table", "t"], "'t' is not a table of Spark's catalogs"),
        (["--source-table", "db.t", "--source-version", "today"], "'today' is not a version of a table"),
        (["--source-table", "db.t", "--format", "csv"], "--format: for files, and not for --source-table"),
        (["--source-table", "db.t", "--option", "header=true"], "--option: for files, and not for --source-table"),
        (["--source", "x", "--source-version", "1"], "--source-version is for --source-table"),
        (
            ["--source-table", "db.t", "--replay", "x", "--load-id", "y", "--on-error", "quarantine"],
            "--replay loads rows of <table>_rejects, and no others",
        ),
    ],
)
def test_flags_that_do_not_go_with_a_source_are_refused_before_a_run(arguments: list[str], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        check_arguments([*arguments, "--table", "t"])


def test_a_table_of_sparks_catalogs_takes_the_place_of_files() -> None:
    arguments = ["--source-table", "lake.db.t", "--source-version", "7", "--select", "SELECT 1 FROM source"]
    check_arguments([*arguments, "--table", "t"])
    assert source_of(parse([*arguments, "--table", "t"])) == CatalogTable("lake.db.t", "7", "SELECT 1 FROM source")
    assert source_of(parse(["--source", "x", "--table", "t"])) == Files(["x"], "parquet", [])
