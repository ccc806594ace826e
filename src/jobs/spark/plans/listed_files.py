"""The files of a plan, as Spark listed them when the DataFrame was made, and as they are now."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession

from jobs.spark.plans.repeatable import class_of, is_file_scan, optimized_plan

_VOLATILE = re.compile(r"(?:access_time|owner|group|permission|replication)=[^;]*;? ?")
"""What changes in a file's status when the file is read, or is left out where many files are listed."""

_PATH = re.compile(r"path=(.*?); isDirectory=")


def overwritten(df: DataFrame) -> list[str]:
    """Return the files of a query that have other contents than when Spark listed them, by size, time or ETag.

    Files that are not there any more are left out: Spark fails if it has not read one before. So are those of tables
    that list their files themselves, such as those of lakes, whose files never change.
    """
    found: set[str] = set()
    for leaf in filter(is_file_scan, leaves(optimized_plan(df))):
        listed = statuses(leaf) if class_of(leaf.relation().location()) == "InMemoryFileIndex" else []
        try:
            now = listed_now(df.sparkSession, leaf) if listed else frozenset()
        except AnalysisException:  # one of its folders is not there any more
            continue
        found |= _paths(set(listed) - now) & _paths(now)
    return sorted(found)


def _paths(texts: set[str] | frozenset[str]) -> set[str]:
    return {path[1] for path in map(_PATH.search, texts) if path}


def leaves(plan: Any) -> Iterator[Any]:  # noqa: ANN401 - the JVM's objects
    """Yield the leaves of a plan."""
    leaves = plan.collectLeaves()
    return (leaves.apply(index) for index in range(leaves.size()))


def statuses(leaf: Any) -> list[str]:  # noqa: ANN401 - the JVM's objects
    """Return the files of a source in a plan with their sizes, times of modification and, on S3, ETags."""
    texts = str(_location(leaf).allFiles().mkString("\n"))
    return sorted(_VOLATILE.sub("", texts).split("\n")) if texts else []


def _location(leaf: Any) -> Any:  # noqa: ANN401 - the JVM's objects
    """Return the files of a source. A partitioned table of a catalog lists them only when asked for partitions."""
    location = leaf.relation().location()
    no_filters = leaf.children()  # a leaf has none: Scala's empty list
    return location.filterPartitions(no_filters) if class_of(location) == "CatalogFileIndex" else location


def listed_now(spark: SparkSession, leaf: Any) -> frozenset[str]:  # noqa: ANN401 - the JVM's objects
    """Return the files that are now in the folders that a source of a plan reads."""
    relation = leaf.relation()
    paths = str(_location(leaf).rootPaths().mkString("\n")).split("\n")
    options = getattr(relation.options(), "$minus")("path")
    # The paths are those of files, in which no character stands for others. Text has a schema of its own.
    reader = spark._jsparkSession.read().options(options).option("__globPaths__", "false").format("text")  # noqa: SLF001 - takes the JVM's options
    return frozenset(
        status
        for found in leaves(reader.load(_java_strings(spark, paths)).queryExecution().optimizedPlan())
        for status in statuses(found)
    )


def _java_strings(spark: SparkSession, texts: Sequence[str]) -> Any:  # noqa: ANN401 - the JVM's array
    context: Any = spark.sparkContext
    array = context._gateway.new_array(context._jvm.java.lang.String, len(texts))  # noqa: SLF001 - as above
    for place, text in enumerate(texts):
        array[place] = text
    return array
