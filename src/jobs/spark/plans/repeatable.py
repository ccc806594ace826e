"""What a query's plan says of the attempts at its parts: whether their end can be believed, and whether they repeat.

An attempt that copies straight into a table must know that it has read all of its input. The JVM tells it by a mark at
the end of the stream, which it sends only if its own iterator came to an end without an error (BlockDeserializer). When
a task is killed, its reads are interrupted. Spark's readers of files then raise an error; a reader that takes this for
the end of the data, or for a malformed record, would make the end of the stream a lie. So only sources and options are
accepted of which this is known.
"""

from __future__ import annotations

from typing import Any

from pyspark import RDD
from pyspark.sql import DataFrame

from jobs.spark.plans.recomputed import reads_shuffles

_FORMATS = frozenset({"ParquetFileFormat", "OrcFileFormat", "CSVFileFormat", "JsonFileFormat", "TextFileFormat"})
"""Spark's own formats, by the names of their classes."""

_GENERATED = frozenset({"LocalRelation", "Range", "OneRowRelation"})
"""Sources that read nothing."""

_IGNORE_CORRUPT = "ignoreCorruptFiles"


def end_may_lie(lines: DataFrame, rdd: RDD[Any]) -> str:
    """Return why an attempt that sees the end of its input may not have read all of it; empty if it has.

    Args:
        lines: The query.
        rdd: The RDD that computes it.
    """
    if reads_shuffles(rdd):
        return "its rows come from a shuffle"
    leaves = optimized_plan(lines).collectLeaves()
    reasons = (_source_may_lie(lines, leaves.apply(index)) for index in range(leaves.size()))
    return next(filter(None, reasons), "")


def keeps_order(df: DataFrame) -> bool:
    """Return whether a query that is planned once more gives the rows of a part in the same order.

    Of other sources this is not known: Iceberg lists the files of a table in another order each time.
    """
    leaves = optimized_plan(df).collectLeaves()
    found = [leaves.apply(index) for index in range(leaves.size())]
    return all(class_of(leaf) in _GENERATED or is_file_scan(leaf) for leaf in found)


def optimized_plan(df: DataFrame) -> Any:  # noqa: ANN401 - the JVM's object
    """Return the optimized logical plan of a query."""
    # PySpark shows plans as text only.
    return df._jdf.queryExecution().optimizedPlan()  # noqa: SLF001 - see above


def input_size(df: DataFrame) -> int:
    """Return the size of a query's input in bytes, as Spark estimates it: that of files, compressed as they are."""
    leaves = optimized_plan(df).collectLeaves()
    return sum(int(str(leaves.apply(index).stats().sizeInBytes())) for index in range(leaves.size()))


def class_of(jvm_object: Any) -> str:  # noqa: ANN401 - the JVM's object
    """Return the name of an object's class, without its package."""
    return str(jvm_object.getClass().getSimpleName()).rstrip("$")


def is_file_scan(leaf: Any) -> bool:  # noqa: ANN401 - the JVM's object
    """Return whether a source of a plan reads files by one of Spark's own formats."""
    if class_of(leaf) != "LogicalRelation" or class_of(leaf.relation()) != "HadoopFsRelation":
        return False
    return class_of(leaf.relation().fileFormat()) in _FORMATS


def _source_may_lie(df: DataFrame, leaf: Any) -> str:  # noqa: ANN401 - the JVM's object
    if class_of(leaf) in _GENERATED:
        return ""
    if not is_file_scan(leaf):
        return f"it reads {_name(leaf)}, which is no file of a known format"
    relation = leaf.relation()
    options = str(relation.options().mkString("\n")).lower()
    everywhere = str(df.sparkSession.conf.get(f"spark.sql.files.{_IGNORE_CORRUPT}", "false")).lower()
    if everywhere == "true" or f"{_IGNORE_CORRUPT.lower()} -> true" in options:
        return f"Spark skips what it cannot read ({_IGNORE_CORRUPT})"
    if class_of(relation.fileFormat()) == "JsonFileFormat" and "multiline -> true" in options:
        return "Spark takes what it cannot read of a JSON file with multiLine=true for a malformed record"
    return ""


def _name(leaf: Any) -> str:  # noqa: ANN401 - the JVM's object
    """Return what a source of a plan reads: a table, such as one of Iceberg, by its name."""
    return str(leaf.name()) if class_of(leaf) == "DataSourceV2ScanRelation" else class_of(leaf)
