"""The manifest of a release: flags of load_table.py under their names, and what is told of a wrong one."""

from __future__ import annotations

import json
import re
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from jobs.cli.load_of import OF_FILES
from jobs.cli.manifest import OF_RELEASE, Entry, parse_manifest, read_manifest
from jobs.dbaccess.errors import UsageError
from jobs.load_release import parse
from jobs.load_table import build_parser

RELEASE = parse(["--manifest", "release.toml", "--load-id", "x", "--lock-timeout", "5", "--parallelism", "3"])


def entries(manifest: object) -> list[Entry]:
    return list(parse_manifest(json.dumps(manifest), RELEASE))


def options(table: dict[str, object], **shared: object) -> Namespace:
    return entries({**shared, "tables": [{"table": "t", "source": "x", **table}]})[0].options


def as_flags(*words: str) -> Namespace:
    parsed = build_parser().parse_args(["--source", "x", "--table", "t", *words])
    return Namespace(**{name: value for name, value in vars(parsed).items() if name in vars(options({}))})


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, []),
        ({"source": ["x", "y z"]}, ["--source", "x", "y z"]),
        ({"mode": "upsert", "keys": ["a", "b"]}, ["--mode", "upsert", "--keys", "a,b"]),
        ({"mode": "upsert", "keys": "a,b"}, ["--mode", "upsert", "--keys", "a,b"]),
        (
            {"format": "csv", "option": {"header": True, "sep": "|"}},
            ["--format", "csv", "--option", "header=true", "--option", "sep=|"],
        ),
        ({"format": "csv", "option": "header=true"}, ["--format", "csv", "--option", "header=true"]),
        ({"overwrite_where": "day > '-1'", "mode": "overwrite"}, ["--mode=overwrite", "--overwrite-where=day > '-1'"]),
        ({"overwrite-where": "-a > 0", "mode": "overwrite"}, ["--mode=overwrite", "--overwrite-where=-a > 0"]),
        ({"verify": True}, ["--verify"]),
        ({"verify": False}, []),
        ({"create": True}, ["--create"]),
        ({"create": False}, ["--no-create"]),
        (
            {"column-type": {"id": "bigint"}, "index": ["a", "b, c"]},
            ["--column-type=id=bigint", "--index=a", "--index=b, c"],
        ),
        ({"null-value": ["NA", "-"]}, ["--null-value=NA", "--null-value=-"]),
        (
            {"mode": "upsert", "keys": "a", "delete-missing": True, "max-delete-share": 0.2},
            ["--mode", "upsert", "--keys", "a", "--delete-missing", "--max-delete-share", "0.2"],
        ),
        (
            {"mode": "upsert", "keys": "a", "delete-missing": True},
            ["--mode", "upsert", "--keys", "a", "--delete-missing"],
        ),
        ({"on-error": "quarantine", "max-errors": 5}, ["--on-error", "quarantine", "--max-errors", "5"]),
    ],
)
def test_a_table_has_the_flags_of_a_load_under_their_names(table: dict[str, object], words: list[str]) -> None:
    of_release = {name.replace("-", "_") for name in OF_RELEASE}
    found, meant = options(table), as_flags(*words)
    assert {name: value for name, value in vars(found).items() if name not in of_release} == {
        name: value for name, value in vars(meant).items() if name not in of_release
    }
    assert (found.load_id, found.lock_timeout, found.parallelism) == ("x", 5, 3)


MANIFEST = """
format = "csv"
option = { header = true }

[[tables]]
table = "sales.customers"
source = "s3://bucket/customers/"
mode = "history"
keys = ["id"]
as-of = 2026-11-20T00:00:00Z

[[tables]]
table = "sales.orders"
query = "SELECT * FROM catalog.orders"
"""


def test_a_manifest_is_toml_and_what_is_beside_the_tables_is_for_all() -> None:
    pytest.importorskip("tomllib")
    customers, orders = parse_manifest(MANIFEST, RELEASE)
    assert customers.options.format == orders.options.format == "csv"
    assert (customers.options.table, customers.options.option) == ("sales.customers", ["header=true"])
    assert customers.options.as_of == "2026-11-20T00:00:00+00:00"
    assert (customers.query, orders.query) == ("", "SELECT * FROM catalog.orders")
    assert orders.options.source is None


def test_the_manifest_of_the_docs_is_one() -> None:
    pytest.importorskip("tomllib")
    page = (Path(__file__).parents[2] / "docs" / "release.md").read_text()
    [manifest] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [entry.options.table for entry in parse_manifest(manifest, RELEASE)] == [
        "sales.customers",
        "sales.orders",
        "sales.totals",
    ]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"mod": "append"}, r"^Table t of the manifest: There is no 'mod'\. Did you mean mode\?"),
        ({"quer": "SELECT 1"}, r"Did you mean query\?"),
        ({"xyzzy": 1}, r"There is no 'xyzzy'\. There are after-sql, .*, query, "),
        ({"mode": "merge"}, r"mode: invalid choice: 'merge'"),
        ({"mode": "upsert"}, r"The mode 'upsert' needs keys"),
        ({"mode": 7}, r"mode: invalid choice: '7'"),
        ({"verify": "yes"}, r"verify is 'yes'\. Write true or false"),
        ({"keys": True}, r"keys is True\. Write a text"),
        ({"keys": [["a"]]}, r"keys is \['a'\]\. Write a text"),
        ({"keys": ["a,b", "c"]}, r"keys has 'a,b', and a comma ends a name\. Write each name by itself"),
        ({"keys": []}, r"keys is an empty list\. Leave it out"),
        ({"keys": {"a": "b"}}, r"keys is a table, but takes one value"),
        ({"mode": ["append", "upsert"]}, r"mode is a list, but takes one value"),
        ({"mode": ["append"]}, r"mode is a list, but takes one value"),
        ({"select": ["SELECT 1", "SELECT 2"]}, r"select is a list, but takes one value"),
        ({"mode": "overwrite", "overwrite-where": ["a > 0", "b"]}, r"overwrite-where is a list, but takes one value"),
        ({"mode": "overwrite", "overwrite-where": {"day": 1}}, r"overwrite-where is a table, but takes one value"),
        ({"source": []}, r"source is an empty list"),
        ({"verify": [True]}, r"verify is \[True\]\. Write true or false"),
        ({"max-errors": "many"}, r"max-errors: invalid int value: 'many'"),
        ({"load-id": "y"}, r"load-id is the same for all tables\. Give --load-id to load_release\.py"),
        ({"create": "no"}, r"create is 'no'\. Write true or false"),
        ({"no-create": True}, r"There is no 'no-create'"),
        ({"source-table": "db.t"}, r"source-table: not allowed with source"),
        ({"source": ["x", "--verify"]}, r"source has '--verify', which begins with a hyphen"),
        ({"query": "SELECT 1"}, r"Give one of source, source-table and query"),
        ({"format": "csv", "option": {"hedaer": True}}, r"Did you mean header\?"),
        ({"overwrite-where": "a", "overwrite_where": "b"}, r"has overwrite_where twice"),
        ({"table": "a.b.c"}, r"^Table a\.b\.c of the manifest: 'a\.b\.c' is not a table's name"),
    ],
)
def test_what_cannot_be_right_is_told_with_the_table(table: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        options(table)


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ({}, "The manifest has no tables"),
        ({"tables": []}, "The manifest has no tables"),
        ({"tables": {"table": "t"}}, "The manifest has no tables"),
        ({"tables": [{"source": "x"}]}, "Table 1 of the manifest: It has no name"),
        (
            {"tables": [{"table": "t"}]},
            "Table t of the manifest: Its rows come from files, from a table or from a query",
        ),
        ({"tables": [{"table": "t", "query": " "}]}, "query is not SQL"),
        ({"tables": [{"table": "t", "query": "x", "select": "y"}]}, "select: these are for files"),
        ({"mode": "upsrt", "tables": [{"table": "t", "source": "x"}]}, "Table t of the manifest: mode: invalid choice"),
    ],
)
def test_a_manifest_without_what_it_needs_is_refused(manifest: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        entries(manifest)


def test_json_that_has_a_name_twice_is_refused_where_python_would_drop_the_first() -> None:
    with pytest.raises(UsageError, match="The manifest has 'tables' twice in one object"):
        parse_manifest('{"tables": [{"table": "t", "source": "x"}], "tables": []}', RELEASE)


@pytest.mark.parametrize(
    ("text", "told"), [('{"tables": ', "begins like JSON, but is not valid JSON"), ("[[tables", "is not valid TOML")]
)
def test_what_is_neither_json_nor_toml_is_told(text: str, told: str) -> None:
    if "TOML" in told:
        pytest.importorskip("tomllib")
    with pytest.raises(UsageError, match=told):
        parse_manifest(text, RELEASE)


def test_a_python_that_reads_no_toml_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tomllib", "tomli"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UsageError, match=r"^This Python, 3\.\d+, cannot read TOML\. Write the manifest as JSON"):
        parse_manifest(MANIFEST, RELEASE)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"The manifest .*none\.toml cannot be read: No such file.*Check --manifest"):
        read_manifest(str(tmp_path / "none.toml"), {}, RELEASE)
    (tmp_path / "latin.json").write_bytes('{"tables": "\xe9"}'.encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        read_manifest(str(tmp_path / "latin.json"), {}, RELEASE)


def test_flags_that_the_manifest_treats_apart_are_those_of_a_load() -> None:
    flags = {option for action in build_parser()._actions for option in action.option_strings}  # noqa: SLF001 - argparse has no public access
    assert {f"--{name}" for name in (*OF_RELEASE, *OF_FILES)} <= flags
    assert all(hasattr(RELEASE, name.replace("-", "_")) for name in OF_RELEASE)


def test_a_table_of_sparks_catalogs_may_be_read_among_files_of_one_format() -> None:
    shared = {"format": "csv", "option": {"header": True}, "tables": [{"table": "a", "source": "x"}]}
    of_files, of_lake = entries(
        {**shared, "tables": [{"table": "a", "source": "x"}, {"table": "b", "source-table": "lake.db.b"}]}
    )
    assert (of_files.options.format, of_files.options.option) == ("csv", ["header=true"])
    assert (of_lake.options.source_table, of_lake.options.format, of_lake.options.option) == ("lake.db.b", None, [])
    with pytest.raises(UsageError, match="Table b of the manifest: --format: for files"):
        entries({"tables": [{"table": "b", "source-table": "lake.db.b", "format": "csv"}]})
    with pytest.raises(UsageError, match="Give one of source, source-table and query"):
        entries({"tables": [{"table": "b", "source-table": "lake.db.b", "query": "SELECT 1"}]})
