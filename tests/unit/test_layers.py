"""The layout of the house: imports run one way, and each room imports only what it may."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
HOUSES = ("bench", "chaos")
"""Harnesses whose rooms are held to the same order."""

# Room -> what its modules may import beside the standard library and the room itself.
# A room is the longest of these that a module's name begins with.
BASE = {
    *{"jobs.dbaccess.errors", "jobs.dbaccess.sqlstates", "jobs.dbaccess.sql", "jobs.dbaccess.conninfo"},
    "jobs.dbaccess.session",
}
CONNECTING = {"jobs.dbaccess.postgres_connectivity", "jobs.dbaccess.connector", "jobs.dbaccess"}
WINGS = {"jobs.dbaccess.catalog", "jobs.dbaccess.load", "jobs.dbaccess.extract"}
DATABASE = BASE | CONNECTING | WINGS
MAY_IMPORT: dict[str, set[str]] = {
    # The entrypoints.
    "jobs": DATABASE
    | {"jobs.cli", "jobs.flows", "jobs.flows.compare", "jobs.flows.load", "jobs.flows.extract", "jobs.flows.query"}
    | {"jobs.dbaccess.rows", "jobs.dbaccess.capture", "jobs.flows.capture", "jobs.flows.capture.files"}
    | {"jobs.flows.doctor", "jobs.flows.table_copy", "jobs.lineage", "pyspark"},
    "jobs.lineage": {"jobs.dbaccess.conninfo", "jobs.dbaccess.errors", "jobs.dbaccess.sql"},
    "jobs.cli": {
        "jobs.lineage",
        "jobs.flows",
        "jobs.flows.load",
        "jobs.dbaccess",
        "jobs.dbaccess.conninfo",
        "jobs.dbaccess.errors",
        "jobs.dbaccess.load",
        "jobs.dbaccess.sql",
        "jobs.spark",
        "pyspark",
        *{"tomllib", "tomli"},  # of which Python has one since 3.11
    },
    # Spark 4's data source.
    "jobs.pgcopy": {
        *DATABASE,
        *{"jobs.pgcopy.sidecar", "jobs.pgcopy.sidecar_holds", "jobs.flows", "jobs.flows.load", "jobs.flows.extract"},
        *{"jobs.spark", "jobs.copyformat", "pyspark", "pyarrow"},
    },
    "jobs.pgcopy.sidecar": BASE | CONNECTING,  # a process of its own, which starts at once
    "jobs.pgcopy.sidecar_holds": BASE | {"jobs.dbaccess", "jobs.dbaccess.load"},
    # The driver's side. What loads knows nothing of what extracts.
    "jobs.flows.compare": DATABASE | {"jobs.flows", "jobs.flows.extract", "jobs.spark", "jobs.copyformat", "pyspark"},
    "jobs.flows.load": {
        *BASE,
        *CONNECTING,
        *{"jobs.dbaccess.catalog", "jobs.dbaccess.load", "jobs.flows", "jobs.spark", "jobs.copyformat", "pyspark"},
        "jobs.dbaccess.copy_text",
    },
    "jobs.flows.table_copy": {
        *DATABASE,
        *{
            "jobs.dbaccess.copy_text",
            "jobs.flows",
            "jobs.flows.extract",
            "jobs.flows.load",
            "jobs.copyformat",
            "pyspark",
        },
    },
    "jobs.flows.extract": {
        *BASE,
        *CONNECTING,
        *{"jobs.dbaccess.catalog", "jobs.dbaccess.extract", "jobs.flows", "jobs.spark", "jobs.copyformat", "pyspark"},
    },
    "jobs.flows.query": {
        *DATABASE,
        *{"jobs.dbaccess.query", "jobs.aws", "jobs.flows", "jobs.flows.query.target"},
        "pyspark",  # for type checkers alone
    },
    "jobs.flows.query.target": {
        *{*BASE, "jobs.dbaccess.query", "jobs.flows", "jobs.flows.extract", "jobs.spark", "pyspark"},
    },
    "jobs.flows.capture.files": {
        *{*DATABASE, "jobs.dbaccess.capture", "jobs.flows", "jobs.flows.capture", "jobs.flows.extract"},
        *{"jobs.spark", "pyspark"},
    },
    "jobs.flows.doctor": DATABASE | {"jobs.dbaccess.network", "jobs.aws", "jobs.flows", "pyspark"},
    "jobs.flows.capture": DATABASE | {"jobs.dbaccess.capture", "jobs.flows"},
    "jobs.flows": {
        *{"jobs.aws", "jobs.dbaccess.conninfo", "jobs.dbaccess.errors", "jobs.dbaccess.load", "jobs.dbaccess.query"},
        "jobs.dbaccess.sql",
        "pyspark",
    },
    # What executors run.
    "jobs.spark": DATABASE | {"jobs.copyformat", "jobs.dbaccess.copy_text", "pyspark", "pyarrow"},
    # Rows and COPY's text: opens no connection.
    "jobs.copyformat": {
        *{"jobs.dbaccess.catalog", "jobs.dbaccess.sql", "jobs.dbaccess.errors", "jobs.dbaccess.copy_text"},
        *{"pyspark", "pyarrow"},
    },
    "jobs.aws": {"jobs.errors", "boto3", "botocore"},  # the only room with boto3
    # The database: load and extract do not know each other.
    "jobs.dbaccess.load": BASE
    | {
        "jobs.dbaccess.copy_text",
        "jobs.dbaccess",
        "jobs.dbaccess.catalog",
        "jobs.dbaccess.network",
        "jobs.dbaccess.query",
    },
    "jobs.dbaccess.extract": BASE | {"jobs.dbaccess", "jobs.dbaccess.catalog", "jobs.dbaccess.query"},
    "jobs.dbaccess.query": BASE | {"jobs.dbaccess.catalog"},
    "jobs.dbaccess.capture": BASE | {"jobs.dbaccess", "jobs.dbaccess.catalog"},
    "jobs.dbaccess.rows": BASE | {"jobs.dbaccess.catalog", "jobs.dbaccess.copy_text"},
    "jobs.dbaccess.copy_text": set(),
    "jobs.dbaccess.pool": BASE | {"jobs.dbaccess.postgres_connectivity", "sqlalchemy"},  # optional: not in the archive
    "jobs.dbaccess.connector": BASE | {"jobs.dbaccess.postgres_connectivity"},
    "jobs.dbaccess.postgres_connectivity": BASE | {"jobs.dbaccess", "jobs.dbaccess.network"},
    "jobs.dbaccess.catalog": BASE - {"jobs.dbaccess.conninfo"} | {"jobs.dbaccess"},
    "jobs.dbaccess": BASE,  # locks, other sessions, poolers
    "jobs.dbaccess.session": BASE | {"jobs.dbaccess.network"},
    "jobs.dbaccess.network": {
        *{"jobs.dbaccess.conninfo", "jobs.dbaccess.errors", "jobs.dbaccess.pep249", "jobs.dbaccess.sql", "pg8000"},
    },
    "jobs.dbaccess.conninfo": {"jobs.dbaccess.sql", "jobs.dbaccess.errors"},
    "jobs.dbaccess.sql": {"jobs.dbaccess.errors"},
    "jobs.dbaccess.errors": {"jobs.errors", "jobs.dbaccess.sqlstates", "jobs.dbaccess.pep249", "scramp"},
    "jobs.dbaccess.sqlstates": set(),
    "jobs.dbaccess.pep249": {"pg8000"},
    "jobs.errors": set(),
    # The laptop's side: what is packed knows of no run, a run knows of no submission.
    "pgjobs": {"pgjobs.cli", "pgjobs.aws", "pgjobs.console", "pgjobs.errors"},
    "pgjobs.cli": {
        *{"pgjobs.local", "pgjobs.submit", "pgjobs.runs", "pgjobs.checks", "pgjobs.archive"},
        *{"pgjobs.aws", "pgjobs.console", "pgjobs.distribution", "pgjobs.errors", "pgjobs.toml", "shtab"},
    },
    "pgjobs.local": {
        *{"pgjobs.local.driver", "pgjobs.archive.probe", "pgjobs.submit", "pgjobs.archive"},
        *{"pgjobs.distribution", "pgjobs.errors"},
    },
    "pgjobs.local.driver": set(),  # sent alone to where the job runs
    "pgjobs.submit": {
        *{"pgjobs.runs", "pgjobs.archive", "pgjobs.archive.probe", "pgjobs.aws", "pgjobs.console", "pgjobs.errors"},
        *{"boto3", "botocore"},
    },
    "pgjobs.runs": {"pgjobs.aws", "pgjobs.console", "pgjobs.errors", "botocore"},
    "pgjobs.checks": {"pgjobs.archive.probe", "pgjobs.archive", "pgjobs.errors"},
    "pgjobs.archive": {
        *{"pgjobs.archive.probe", "pgjobs.distribution", "pgjobs.errors", "pgjobs.toml", "elftools", "uv"},
    },
    "pgjobs.archive.probe": {"pyspark"},  # sent alone to where the archive runs
    "pgjobs.aws": {"pgjobs.errors", "boto3", "botocore"},
    "pgjobs.console": set(),
    "pgjobs.distribution": set(),
    "pgjobs.toml": {"tomllib", "tomli"},
    "pgjobs.errors": set(),
    "servermgr": set(),
    "pyspark_pgcopy": {"jobs.pgcopy"},
    # What breaks jobs: what draws a trial knows nothing of how it is done, what breaks it nothing of how it is judged.
    "chaos": {
        *{"chaos.plan", "chaos.data", "chaos.stage", "chaos.stage.spark", "chaos.jobs", "chaos.faults", "chaos.judge"},
        *{"chaos.errors", "servermgr"},
    },
    "chaos.judge": {  # nothing of the product
        *{"chaos.plan", "chaos.data", "chaos.stage", "chaos.stage.spark", "chaos.jobs", "chaos.errors", "pyarrow"},
    },
    "chaos.faults": {"chaos.plan", "chaos.stage", "chaos.stage.spark", "chaos.jobs", "chaos.errors"},
    "chaos.jobs": {"chaos.plan", "chaos.data", "chaos.stage"},
    "chaos.stage": {"chaos.plan", "chaos.stage.spark", "chaos.errors", "servermgr", "psutil", "pyspark"},
    "chaos.stage.spark": {"chaos.errors", "psutil", "pyspark"},
    "chaos.stage.spark.program": {"jobs", "jobs.cli", "jobs.dbaccess.load", "pyspark", "pyarrow"},  # runs the jobs
    "chaos.stage.spark.daemon": {"jobs.pgcopy", "jobs.spark", "pyspark", "pyarrow"},
    "chaos.data": {"chaos.plan", "pyarrow"},
    "chaos.plan": set(),
    "chaos.errors": set(),
    # What measures: others know nothing of this project, and what shows figures nothing of how they were measured.
    "bench": {
        *{"bench.plan", "bench.tpch", "bench.machine", "bench.ways", "bench.ways.ours", "bench.ways.peers"},
        *{"bench.results", "bench.places", "bench.errors", "servermgr", "demo_text", "psutil", "pyspark", "pyarrow"},
        *{"jobs", "jobs.copyformat", "jobs.spark", "jobs.flows.load", "jobs.flows.extract", "jobs.flows.capture"},
        *{*BASE, "jobs.dbaccess.postgres_connectivity", "jobs.dbaccess.load", "jobs.dbaccess.network", "jobs.flows"},
    },
    "bench.results": {"bench.plan", "bench.machine", "bench.errors", "demo_text"},
    "bench.ways": {"bench.tpch", "bench.machine", "bench.errors", "pyspark"},
    "bench.ways.ours": {
        *{"bench.plan", "bench.tpch", "bench.machine", "bench.ways", "bench.errors", "pyspark", "pyarrow"},
        *{"jobs", "jobs.dbaccess.rows", "jobs.flows.compare", "jobs.flows.extract", "jobs.flows.load", "jobs.pgcopy"},
        *{*BASE, *CONNECTING},
    },
    "bench.ways.peers": {
        *{"bench.tpch", "bench.ways", "bench.errors", "pyspark", "pyarrow"},
        *{"adbc_driver_postgresql", "connectorx", "dlt", "psycopg"},
    },
    "bench.plan": {"bench.tpch", "bench.errors"},
    "bench.tpch": {"bench.machine", "bench.errors", "pyarrow"},
    "bench.machine": {
        *{"bench.errors", "servermgr", "setup_system", "psutil", "pyspark"},
        *{*BASE, "jobs.dbaccess.postgres_connectivity"},
    },
    "bench.places": set(),
    "bench.errors": set(),
}

STANDARD_LIBRARY: frozenset[str] = getattr(sys, "stdlib_module_names", frozenset())

MODULES = {
    ".".join(path.relative_to(above).with_suffix("").parts).removesuffix(".__init__"): path
    for above, pattern in ((SOURCE, "*.py"), *((ROOT, f"{house}/**/*.py") for house in HOUSES))
    for path in above.rglob(pattern)
}

PRODUCT = {name: path for name, path in MODULES.items() if path.is_relative_to(SOURCE)}


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
        for name, path in PRODUCT.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"dbapi.connect", "pg8000.connect", "native.Connection", "Connection"}
    ]
    assert constructing == ["jobs.dbaccess.postgres_connectivity"]


def test_jobs_open_sessions_whose_names_are_pinned() -> None:
    """`connect` leaves search_path as the role has it: for a user's own statements, not for ours."""
    opening = [
        name
        for name, path in PRODUCT.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        and node.module == "jobs.dbaccess.postgres_connectivity"
        and any(imported.name == "connect" for imported in node.names)
    ]
    assert sorted(opening) == ["jobs", "jobs.dbaccess.pool"]  # what they open is for a user's own statements


@pytest.mark.parametrize("module", sorted(MODULES))
def test_a_class_that_takes_many_values_gets_them_by_name(module: str) -> None:
    """Of more than five in a row, nobody sees which is which."""
    by_place = [
        f"line {node.lineno}: {ast.unparse(node.func)}"
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id[:1].isupper()
        and len(node.args) > 5
    ]
    assert by_place == []


def test_contributings_picture_of_the_house_shows_each_room() -> None:
    picture = (ROOT / "CONTRIBUTING.md").read_text().partition("## Structure")[2].partition("## Rules")[0]
    rooms = {path.parent.name for path in MODULES.values() if path.name == "__init__.py"}
    assert {room for room in rooms if not re.search(rf"\b{room}\b", picture)} == set()


def test_no_room_is_crowded() -> None:
    crowded = {
        name: count
        for name, path in MODULES.items()
        if path.name == "__init__.py"
        for count in [len(list(path.parent.glob("*.py"))) - 1]
        if count > 15  # more than one sees at a glance
    }
    assert crowded == {}


# Where tests stand. A folder tells what its tests need; in `guarantees`, scenarios cross modules.
TESTS = ROOT / "tests"
FOLDERS = {"unit", "postgres", "spark", "archive", "aws", "interop", "lakes", "guarantees"}
HARNESSES, SCRIPTS = ("fuzz", "matrix"), ("scripts", "examples")
NO_MODULES = {
    "layers",
    "without_unix",
    "infra_template",
    "infra_endpoints",
    "infra_options",
    "infra_permissions",
    "examples_step_functions",
}
"""What else is tested: the layout itself, and files that are not Python's."""


def names_for_tests() -> dict[str, list[str]]:
    """Name of a test file, without test_ -> the modules that it could mean.

    A name is the end of a module's, as long as it takes to mean one; a harness's has the harness in it.
    """
    found: dict[str, list[str]] = {}
    for module in MODULES:
        parts = [part.strip("_") for part in module.split(".")]
        house = [parts.pop(0)] if parts[0] in HOUSES else []
        for start in range(len(parts)):
            found.setdefault("_".join([*house, *parts[start:]]), []).append(module)
    for folder in (*HARNESSES, *SCRIPTS):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.stem.strip("_")
            found.setdefault(f"{folder}_{name}" if folder in HARNESSES else name, []).append(f"{folder}.{name}")
    return found


NAMES_FOR_TESTS = names_for_tests()


@pytest.mark.parametrize("path", sorted(TESTS.rglob("test_*.py")), ids=lambda path: str(path.relative_to(TESTS)))
def test_a_test_file_bears_the_name_of_one_module(path: Path) -> None:
    folder, name = path.parent.name, path.stem.partition("_")[2]
    assert folder in FOLDERS
    if folder != "guarantees" and name not in NO_MODULES:
        assert len(NAMES_FOR_TESTS.get(name, [])) == 1, NAMES_FOR_TESTS.get(name, "no module has that name")
