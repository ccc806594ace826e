"""The layout of the house: imports run one way, and each room imports only what it may."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

# Room -> what its modules may import beside the standard library and the room itself.
# A room is the longest of these that a module's name begins with.
MAY_IMPORT: dict[str, set[str]] = {
    "jobs": {"jobs.flows", "jobs.aws", "jobs.dbaccess", "pyspark"},  # the entrypoints
    "jobs.flows": {"jobs.spark", "jobs.aws", "jobs.dbaccess", "pyspark"},
    "jobs.pgcopy": {  # Spark 4's data source
        *{"jobs.pgcopy.keeper", "jobs.pgcopy.holdings"},
        *{"jobs.flows", "jobs.spark", "jobs.dbaccess", "pyspark", "pyarrow"},
    },
    "jobs.pgcopy.keeper": {"jobs.dbaccess"},  # a process of its own, which starts at once
    "jobs.pgcopy.holdings": {"jobs.dbaccess"},
    "jobs.spark": {"jobs.dbaccess", "pyspark", "pyarrow"},
    "jobs.aws": {"jobs.errors", "boto3", "botocore"},  # the only room with boto3
    "jobs.dbaccess": {"jobs.errors", "pg8000", "scramp"},  # scramp is pg8000's own
    "jobs.dbaccess.pool": {"jobs.dbaccess", "sqlalchemy"},  # optional: not in the archive
    "jobs.errors": set(),
    "deploy": {"deploy.probe", "deploy.driver", "elftools", "boto3", "botocore", "tomllib", "tomli"},
    "deploy.probe": {"pyspark"},  # sent alone to where the archive runs
    "deploy.driver": set(),  # likewise
    "servermgr": set(),
    "pyspark_pgcopy": {"jobs.pgcopy"},
}

STANDARD_LIBRARY: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())

MODULES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in SOURCE.rglob("*.py")
}


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of it. `from a import b` counts as a.b where that is a module."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports are not used here"
            full = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in MODULES else str(node.module) for name in full}
    return found - {"__future__"}


def room_of(module: str) -> str:
    """The room that a module belongs to, or its outermost package for foreign ones."""
    rooms = [room for room in MAY_IMPORT if module == room or module.startswith(f"{room}.")]
    return max(rooms, key=len) if rooms else module.partition(".")[0]


@pytest.mark.skipif(not STANDARD_LIBRARY, reason="Python 3.9 does not list its standard library")
@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_imports_only_what_its_room_may(module: str) -> None:
    room = room_of(module)
    imported = {room_of(name) for name in imports_of(MODULES[module])}
    assert imported - STANDARD_LIBRARY <= MAY_IMPORT[room] | {room}


def test_no_imports_run_in_a_circle() -> None:
    graph = {name: imports_of(path) & set(MODULES) - {name} for name, path in MODULES.items()}
    assert list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_module_says_its_job_in_its_first_line(module: str) -> None:
    docstring = ast.get_docstring(ast.parse(MODULES[module].read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":"))


def test_one_module_constructs_the_drivers_connections() -> None:
    constructing = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"dbapi.connect", "pg8000.connect", "native.Connection"}
    ]
    assert constructing == ["jobs.dbaccess.postgres_connectivity"]


def test_jobs_open_sessions_whose_names_are_pinned() -> None:
    """`connect` leaves search_path as the role has it: for a user's own statements, not for ours."""
    opening = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "jobs.dbaccess.postgres_connectivity"
        and any(imported.name == "connect" for imported in node.names)
    ]
    assert opening == ["jobs.dbaccess.pool"]  # whose sessions are a user's own
