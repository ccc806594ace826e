"""The names of functions that the source uses are all known, so that a session in which they mean others is refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from jobs.spark.plans.function_names import USED

JOBS = Path(__file__).parents[2] / "src" / "jobs"
NO_FUNCTIONS = {"col", "lit", "expr", "when", "call_function", "cast", "try_cast", "decimal"}
"""Constructs of Spark that are no functions, or that take the name of one; and types."""
IN_SQL = re.compile(r"\b([a-z_0-9]+)\(")


def functions_called(tree: ast.Module) -> Iterator[str]:
    """What is taken from pyspark.sql.functions, and names that are given as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "f":
            yield node.attr
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "call_function":
            assert isinstance(node.args[0], ast.Constant)
            yield str(node.args[0].value)


def functions_in_sql(tree: ast.Module) -> Iterator[str]:
    """What texts call, docstrings left out."""
    told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
            yield from IN_SQL.findall(node.value)


def test_every_function_that_is_used_is_known() -> None:
    called: dict[str, str] = {}
    for path in JOBS.rglob("*.py"):
        text = path.read_text()
        if "functions as f" not in text and path.name != "copy_text.py":
            continue
        tree = ast.parse(text)
        of_sql = functions_in_sql(tree) if path.parent.name == "copyformat" else ()
        called.update(dict.fromkeys([*functions_called(tree), *of_sql], path.name))
    unknown = {name: where for name, where in called.items() if name.lower() not in USED | NO_FUNCTIONS}
    assert unknown == {}
    assert {"replace", "md5", "java_method", "startswith", "raise_error"} <= called.keys()
