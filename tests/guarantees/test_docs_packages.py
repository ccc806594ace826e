"""The docstring of each package names its modules: it tells which of them does what."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOUSES = ("src", "bench", "chaos")
WITHOUT_STEPS = {"src/jobs", "src/pyspark_pgcopy", "src/servermgr"}
"""The first has entrypoints, each with a page of its own; the others are single commands."""

PACKAGES = [
    path
    for house in HOUSES
    for path in sorted((ROOT / house).rglob("__init__.py"))
    if path.parent.relative_to(ROOT).as_posix() not in WITHOUT_STEPS
]


@pytest.mark.parametrize("path", PACKAGES, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_a_package_tells_of_each_of_its_modules(path: Path) -> None:
    story = ast.get_docstring(ast.parse(path.read_text())) or ""
    modules = {module.stem for module in path.parent.glob("*.py")} - {"__init__", "__main__"}
    rooms = {inner.parent.name for inner in path.parent.glob("*/__init__.py")}
    assert {
        name for name in modules | rooms if f"`{name}`" not in story and not re.search(rf"\b{name}\b", story)
    } == set()
