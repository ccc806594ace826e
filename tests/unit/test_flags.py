"""Flags that all jobs share, and what holds for the flags of every command."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.cli.flags import connection_of, warn_of_password
from jobs.dbaccess.conninfo.settings import Server
from jobs.load_table import build_parser


def test_flags_and_environment_become_settings() -> None:
    options = build_parser().parse_args(["--source", "x", "--table", "t", "--host", "h", "--dbname", "d"])
    settings = connection_of(options, {"PGUSER": "u", "PGHOST": "other"}).settings
    assert (settings.servers, settings.dbname, settings.user) == ((Server("h"),), "d", "u")


def test_a_password_in_a_url_is_warned_of_by_its_flag_and_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    warn_of_password("--source-url", "postgresql://u:secret@h/d", "use ~/.pgpass")
    warn_of_password("--source-url", "postgresql://u@h/d", "use ~/.pgpass")
    warn_of_password("--source-url", None, "use ~/.pgpass")
    [record] = caplog.records
    assert record.getMessage().startswith("--source-url holds a password. Many can see")
    assert "secret" not in caplog.text


ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "scripts", "bench", "chaos", "fuzz", "matrix")


def parsers_made() -> Iterator[tuple[str, ast.Call]]:
    """Every call in the project that makes a parser of a command line, with its place."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.name.endswith((".py", ".py.in"))]
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in MAKING:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


MAKING = ("ArgumentParser", "Parser", "add_parser")


def test_no_command_takes_an_abbreviated_flag() -> None:
    """A script with --retri would mean something else as soon as there is a flag --retry-all."""
    found = dict(parsers_made())
    assert len(found) > 20
    refusing = [
        place for place, call in found.items() if "allow_abbrev=False" in [ast.unparse(word) for word in call.keywords]
    ]
    assert sorted(set(found) - set(refusing)) == []


def test_an_abbreviated_flag_of_a_job_is_unknown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["--source", "x", "--table", "t", "--load", "1"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --load 1" in capsys.readouterr().err
