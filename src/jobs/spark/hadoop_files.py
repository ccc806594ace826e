"""Files below a path, in any file system that Spark supports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import uuid4

from pyspark import SparkContext
from pyspark.sql import SparkSession

RENAMING = ("hdfs", "viewfs")
"""Schemes of file systems in which a file is seen while it is written, and a rename replaces another one as a whole.

In object stores, a file appears when it is complete, in place of the one before; a rename is a copy.
"""


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


def by_write(spark: SparkSession, path: str) -> dict[str, list[str]]:
    """Return the data files that Spark has written to a path and committed, by the write that wrote them."""
    writes: dict[str, list[str]] = {}
    for file in below(spark, path):
        folder, _, name = file.rpartition("/")
        named = _WRITTEN.match(name)
        if named and f"/{_UNCOMMITTED}/" not in f"{folder}/":
            writes.setdefault(named["write"], []).append(file)
    return writes


_WRITTEN = re.compile(r"part-\d+-(?P<write>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")
"""The name that Spark gives to a file: the number of its task, and an id of the write."""

_UNCOMMITTED = "_temporary"


def remove(spark: SparkSession, paths: Sequence[str]) -> None:
    """Remove files."""
    for path in paths:
        file, system = _open(spark, path)
        system.delete(file, False)


@dataclass(frozen=True)
class Folder:
    """A folder that a write has completed.

    Attributes:
        name: Its name, without the path.
        complete_since: When its marker was written, as text.
    """

    path: str
    name: str
    complete_since: str


def folders(spark: SparkSession, path: str, marker: str) -> list[Folder]:
    """Return the folders in a path that contain a marker; empty if the path does not exist."""
    root, system = _open(spark, path)
    if not system.exists(root):
        return []
    found = []
    for status in system.listStatus(root):
        inner = status.getPath()
        file, _ = _open(spark, f"{inner.toString()}/{marker}")
        if status.isDirectory() and system.exists(file):
            written = datetime.fromtimestamp(system.getFileStatus(file).getModificationTime() / 1000, timezone.utc)
            found.append(Folder(str(inner.toString()), str(inner.getName()), written.isoformat(" ", "milliseconds")))
    return found


def exists(spark: SparkSession, path: str) -> bool:
    """Return whether a file or a folder exists."""
    root, system = _open(spark, path)
    return bool(system.exists(root))


def make_folder(spark: SparkSession, path: str) -> None:
    """Make a folder, and those above it, if it does not exist."""
    root, system = _open(spark, path)
    system.mkdirs(root)


def is_file(spark: SparkSession, path: str) -> bool:
    """Return whether a path is that of a file."""
    root, system = _open(spark, path)
    return bool(system.exists(root)) and bool(system.getFileStatus(root).isFile())


def remove_folder(spark: SparkSession, path: str) -> None:
    """Remove a folder with its contents, if it exists."""
    root, system = _open(spark, path)
    system.delete(root, True)


def replace(path: str, content: bytes) -> None:
    """Write a file as a whole, in place of the one before. Folders are made.

    No Spark is started for it. The JVM is that of spark-submit, or of a session; a JVM is started if there is neither.
    """
    SparkContext._ensure_initialized()  # noqa: SLF001 - PySpark has no public access to the JVM of spark-submit
    jvm: Any = SparkContext._jvm  # noqa: SLF001 - see above
    gateway: Any = SparkContext._gateway  # noqa: SLF001 - see above
    target = jvm.org.apache.hadoop.fs.Path(path)
    system = target.getFileSystem(_configuration(jvm))
    if str(system.getUri().getScheme()) not in RENAMING:
        _write(system, target, content)
        return
    new = jvm.org.apache.hadoop.fs.Path(target.getParent(), f".{target.getName()}.{uuid4().hex}")
    try:
        _write(system, new, content)
        rename: Any = getattr(jvm.org.apache.hadoop.fs, "Options$Rename")
        options = gateway.new_array(rename, 1)
        options[0] = rename.OVERWRITE
        files = jvm.org.apache.hadoop.fs.FileContext.getFileContext(system.getUri(), system.getConf())
        files.rename(system.makeQualified(new), system.makeQualified(target), options)
    except BaseException:
        system.delete(new, False)
        raise


def _configuration(jvm: Any) -> Any:  # noqa: ANN401 - the JVM's objects
    """Return Hadoop's configuration: that of the running session, or the one that a session would have."""
    context: Any = SparkContext._active_spark_context  # noqa: SLF001 - the public method starts a session
    if context is not None and context._jsc is not None:  # noqa: SLF001 - see `_open`
        return context._jsc.hadoopConfiguration()  # noqa: SLF001 - see `_open`
    return jvm.org.apache.spark.deploy.SparkHadoopUtil.get().newConfiguration(jvm.org.apache.spark.SparkConf())


def _write(system: Any, path: Any, content: bytes) -> None:  # noqa: ANN401 - the JVM's objects
    stream = system.create(path, True)
    try:
        stream.write(content)
    finally:
        stream.close()


def _open(spark: SparkSession, path: str) -> tuple[Any, Any]:
    """Return a path and its file system as Hadoop's objects. PySpark has no public access to them."""
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - see above
    hadoop_path = jvm.org.apache.hadoop.fs.Path(path)
    return hadoop_path, hadoop_path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001 - see above
