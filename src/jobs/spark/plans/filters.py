"""How many conditions a query has: it may leave out rows."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame

from jobs.spark.plans.repeatable import class_of


def filters(df: DataFrame) -> int:
    """Return the number of conditions (WHERE, HAVING and the like) of a query and of what it reads."""
    return _below(df._jdf.queryExecution().analyzed())  # noqa: SLF001 - PySpark shows plans as text only


def _below(node: Any) -> int:  # noqa: ANN401 - the JVM's object
    children = node.children()
    return (class_of(node) == "Filter") + sum(_below(children.apply(index)) for index in range(children.size()))
