"""`from jobs import ...`: what a job of one's own needs, imported when it is used."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import jobs

LOOK = """
import sys, jobs
assert {"connection", "load_dataframe", "extract_dataframe"} <= set(dir(jobs))
print(*{"pyspark", "pg8000", "boto3", "pyarrow"} & set(sys.modules))
from jobs import JobError, connection
print(*{"pyspark", "boto3", "pyarrow"} & set(sys.modules))
"""


def test_what_is_not_used_is_not_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        cwd=Path(jobs.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n\n"


WITHOUT_SPARK = """
import sys
sys.modules["pyspark"] = None
from jobs import copy_rows, load_dataframe, run_job, start_spark
try:
    load_dataframe(None, table="t", settings=None)
except ModuleNotFoundError as error:
    print(error)
"""


def test_a_name_that_needs_spark_can_be_imported_without_it_and_fails_when_it_is_used() -> None:
    command = [sys.executable, "-c", WITHOUT_SPARK]
    done = subprocess.run(command, cwd=Path(jobs.__file__).parents[1], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("jobs.load_dataframe needs Spark: ")


@pytest.mark.parametrize("name", ["run_query", "capture_changes", "load_release", "copy_table"])
def test_a_public_function_is_not_replaced_by_the_entrypoint_of_the_same_name(name: str) -> None:
    entrypoint = importlib.import_module(f"jobs.{name}")
    assert callable(entrypoint.main)
    assert getattr(jobs, name).__module__.startswith("jobs.flows")
    assert importlib.reload(entrypoint) is entrypoint
    assert getattr(jobs, name).__module__.startswith("jobs.flows")


@pytest.mark.parametrize("name", jobs.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(jobs, name).__doc__


def test_a_name_that_is_not_public_is_none() -> None:
    with pytest.raises(AttributeError, match="'jobs' has no attribute 'nothing'"):
        _ = jobs.nothing  # type: ignore[attr-defined] # that is the point


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(jobs.__file__).read_text())
    [branch] = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    seen = {
        imported.asname: node.module
        for node in branch.body
        if isinstance(node, ast.ImportFrom)
        for imported in node.names
    }
    assert sorted(name for name in seen if name) == sorted(jobs.__all__)
    assert all(getattr(importlib.import_module(module or ""), name or "") for name, module in seen.items())
