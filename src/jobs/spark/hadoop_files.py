"""Files below a path of any file system that Spark knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import SparkSession


def below(spark: SparkSession, path: str) -> list[str]:
    """The files of data below a path, at any depth; none where there is no such path.

    Files whose names begin with an underscore are marks, which a later write of the same name replaces.
    """
    root, system = _open(spark, path)
    if not system.exists(root):
        return []
    found = []
    files = system.listFiles(root, True)
    while files.hasNext():
        file = files.next().getPath()
        if not file.getName().startswith("_"):
            found.append(file.toString())
    return found


def remove(spark: SparkSession, paths: Sequence[str]) -> None:
    """Remove files."""
    for path in paths:
        file, system = _open(spark, path)
        system.delete(file, False)


def exists(spark: SparkSession, path: str) -> bool:
    """Whether there is a file or a folder."""
    root, system = _open(spark, path)
    return bool(system.exists(root))


def remove_folder(spark: SparkSession, path: str) -> None:
    """Remove a folder and all that is in it, if it is there."""
    root, system = _open(spark, path)
    system.delete(root, True)


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """A path and its file system, as Hadoop has them. PySpark has no public way there."""
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - see above
    made = jvm.org.apache.hadoop.fs.Path(path)
    return made, made.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001 - see above
