"""docs/coming-from.md names flags and functions that exist, and the messages that are shown."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import jobs
from jobs.dbaccess.errors import UsageError
from jobs.flows.connection import connection
from servermgr import postgres

PAGE = (Path(__file__).parents[2] / "docs" / "coming-from.md").read_text()


def flags_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The flags of a parser and of its commands."""
    for action in parser._actions:  # noqa: SLF001 - argparse has no public access
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for command in action.choices.values():
                yield from flags_of(command)


def test_each_flag_exists() -> None:
    entrypoints = ("capture_changes", "extract_table", "ledger", "load_table", "run_query")
    modules = [import_module(f"jobs.{name}") for name in entrypoints]
    known = {flag for module in modules for flag in flags_of(module.build_parser())}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) - known == set()


PUBLIC = ("DuplicateTable", "UndefinedTable", "connect", "connection", "copy_rows", "load_dataframe", "run_query")


@pytest.mark.parametrize("name", PUBLIC)
def test_each_public_name_exists(name: str) -> None:
    assert re.search(rf"`{name}\b", PAGE)
    assert getattr(jobs, name)


def test_the_pool_is_where_the_page_says() -> None:
    [(module, name)] = set(re.findall(r"`(jobs\.dbaccess\.pool)\.(\w+)`", PAGE))
    assert name in (Path(jobs.__file__).parents[1] / module.replace(".", "/")).with_suffix(".py").read_text()


def test_the_message_about_a_missing_connection_is_shown() -> None:
    with pytest.raises(UsageError) as caught:
        connection(connection="pg_target", environ={})
    assert f"`{caught.value.message}`" in PAGE


@pytest.mark.parametrize("name", ["Manager", "DatabaseException", "WorkerError", "_check_lockdir_permissions", "main"])
def test_each_name_of_servermgr_exists(name: str) -> None:
    assert getattr(postgres, name)
