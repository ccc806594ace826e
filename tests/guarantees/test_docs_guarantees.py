"""docs/guarantees.md names tests that there are: a promise whose test was renamed or removed is no promise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"


@cache
def names_in(path: str) -> frozenset[str]:
    module = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(module) if isinstance(node, ast.FunctionDef))


def promises() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each row's promise, and the file and name of each of its tests; no name stands for all of the file."""
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if len(cells) != 3 or cells[0] == "| promise":
            continue
        path, named = "", []
        for reference in re.findall(r"`([\w/.]*(?:::\w+)?)`", cells[2]):
            file, _, name = reference.partition("::")
            path = file or path
            named.append((path, name))
        yield cells[0].lstrip("| "), named


PROMISES = dict(promises())


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_names_tests_that_exist(promise: str) -> None:
    assert PROMISES[promise], "a promise without a test"
    for path, name in PROMISES[promise]:
        assert (ROOT / path).is_file(), path
        assert not name or name in names_in(path), f"{path}::{name}"


def test_no_promise_stands_twice() -> None:
    rows = list(promises())
    assert len(rows) == len(PROMISES)
    assert len(rows) > 50
