"""Which files Spark reads below the paths that a user names: it leaves out some without a word."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t

from jobs.dbaccess.errors import UsageError
from jobs.spark import hadoop_files
from jobs.spark.plans.repeatable import class_of

_MARKS = ("_", ".")
"""How the names of files begin that Spark takes for markers, such as _SUCCESS. Folders `_day=1` are none."""

_TIMES = frozenset({"modifiedbefore", "modifiedafter"})
"""Options, in small letters, by which no file may be new."""

_FILTERS = frozenset({"recursivefilelookup", "pathglobfilter"}) | _TIMES
"""Those by which a user says which files are read."""

_OF_LINES = (
    *("lineSep", "pathGlobFilter", "recursiveFileLookup", "modifiedBefore", "modifiedAfter", "basePath"),
    *("ignoreCorruptFiles", "ignoreMissingFiles"),
)
"""Options that say which files, and which lines, are read."""

_LIKE_ASCII = re.compile(r"utf-?8|(us-)?ascii|iso-?8859-?\d+|latin-?1|windows-?125\d|cp-?125\d", re.IGNORECASE)
"""Encodings in which the bytes of ASCII characters are those characters."""


def check_named(spark: SparkSession, paths: Sequence[str]) -> None:
    """Check that Spark does not take a file that a user names for a marker.

    Raises:
        UsageError: It does, and would read nothing.
    """
    marks = [path for path in paths if is_mark(path) and hadoop_files.is_file(spark, path)]
    if marks:
        raise UsageError(
            f"Spark takes {', '.join(marks)} for a marker, and reads nothing of it.",
            "Rename the file, so that its name does not begin with an underscore or a dot.",
        )


def is_mark(path: str) -> bool:
    """Return whether Spark takes a path, if it is that of a file, for a marker."""
    name = path.rstrip("/").rpartition("/")[2]
    return name.startswith(_MARKS) and "=" not in name and name not in {".", ".."}


def check_all_read(df: DataFrame, paths: Sequence[str], options: Sequence[str]) -> None:
    """Check that the files below the paths are read. Without folders such as `day=1`, Spark reads no subfolders.

    Args:
        df: The rows of the files.
        paths: Their paths, as given.
        options: The names of the options that the user has given: some of them say which files are read.

    Raises:
        UsageError: There is no file, or one in a subfolder is not read.
    """
    given = {name.lower() for name in options}
    for relation in relations(df):
        location = relation.location()
        read = len(location.inputFiles())
        if not given & _FILTERS and location.leafFiles().size() > read:
            raise UsageError(
                f"Spark reads no subfolders, and there is {_unread(location)}.",
                "Give --option recursiveFileLookup=true to read them, or =false to leave them out, or name them as "
                "paths.",
            )
        if not read and not given & _TIMES:
            raise UsageError(
                f"There is no file to read in {', '.join(paths)}.",
                "Files whose names begin with an underscore or a dot do not count.",
            )


def _unread(location: Any) -> str:  # noqa: ANN401 - the JVM's objects
    """Return the path of a file that is listed and not read."""
    read = {_path(str(file)) for file in location.inputFiles()}
    listed = location.leafFiles().keysIterator()
    while listed.hasNext():
        uri = str(listed.next().toUri().toString())
        if _path(uri) not in read:
            return uri
    return "one"


def _path(uri: str) -> str:
    """Return a URI without the slashes by which `file:/a` and `file:///a` differ."""
    scheme, _, rest = uri.partition(":")
    return f"{scheme}:{rest.lstrip('/')}"


def lines_of(
    spark: SparkSession, paths: Sequence[str], options: Mapping[str, str], *, whole: bool = False
) -> DataFrame:
    """Return the lines of the files that a reader with these options reads, or whole files, as the column `value`."""
    given = {name.lower(): value for name, value in options.items()}
    chosen = {name: given[name.lower()] for name in _OF_LINES if name.lower() in given}
    reader = spark.read.format("text").option("wholetext", str(whole).lower()).options(**chosen)
    return reader.load(list(paths))


def finds_ascii(options: Mapping[str, str]) -> bool:
    """Return whether `lines_of` finds ASCII characters in files that a reader with these options reads."""
    given = {name.lower(): value for name, value in options.items()}
    return _LIKE_ASCII.fullmatch(given.get("encoding", given.get("charset", "UTF-8"))) is not None


def relations(df: DataFrame) -> Iterator[Any]:
    """Yield Spark's descriptions of the files that are read."""
    leaves = df._jdf.queryExecution().analyzed().collectLeaves()  # noqa: SLF001 - PySpark shows plans as text only
    for leaf in (leaves.apply(index) for index in range(leaves.size())):
        if class_of(leaf) == "LogicalRelation" and class_of(leaf.relation()) == "HadoopFsRelation":
            yield leaf.relation()


def columns_of_folders(relation: Any) -> t.StructType:  # noqa: ANN401 - the JVM's object
    """Return the columns that Spark reads from the names of folders."""
    return schema_of(relation.partitionSchema())


def schema_of(jvm_schema: Any) -> t.StructType:  # noqa: ANN401 - the JVM's object
    """Return a schema of the JVM as one of PySpark."""
    return t.StructType.fromJson(json.loads(str(jvm_schema.json())))
