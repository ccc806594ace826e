"""Files below a path, in any file system that Spark supports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession


def below(spark: SparkSession, path: str) -> list[str]:
    """Return the data files below a path, at any depth; empty if the path does not exist.

    Files whose names begin with an underscore are markers, which a later write replaces.
    """
    root, system = _open(spark, path)
    if not system.exists(root):
        return []
    paths = []
    files = system.listFiles(root, True)
    while files.hasNext():
        file = files.next().getPath()
        if not file.getName().startswith("_"):
            paths.append(file.toString())
    return paths


def remove(spark: SparkSession, paths: Sequence[str]) -> None:
    """Remove files."""
    for path in paths:
        file, system = _open(spark, path)
        system.delete(file, False)


def exists(spark: SparkSession, path: str) -> bool:
    """Return whether a file or a folder exists."""
    root, system = _open(spark, path)
    return bool(system.exists(root))


def remove_folder(spark: SparkSession, path: str) -> None:
    """Remove a folder with its contents, if it exists."""
    root, system = _open(spark, path)
    system.delete(root, True)


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return a path and its file system as Hadoop's objects. PySpark has no public access to them."""
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - see above
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path, hadoop_path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001 - see above
