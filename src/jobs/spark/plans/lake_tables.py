"""What a query's plan says of the tables of Spark's catalogs that it reads: where they are, and which version.

Iceberg and Delta keep versions of a table. A DataFrame of either reads, each time that it is computed, what is current
then, unless it is told which version to read. (Iceberg for Spark 4.1 settles that when the DataFrame is made.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from pyspark.sql import DataFrame

from jobs.spark.plans.repeatable import class_of

ICEBERG, DELTA = "iceberg", "delta"

_NONE = "none"
"""What Iceberg says of a table without a snapshot."""


@dataclass(frozen=True)
class Version:
    """A version of a table, as it was when the DataFrame was made.

    Attributes:
        format: ICEBERG or DELTA; empty if the table is neither, or the DataFrame is not that of one table.
        number: The snapshot's id, or Delta's version; empty if there is none, or it is not known.
        is_settled: Whether the DataFrame reads this version whenever it is computed.
    """

    format: str = ""
    number: str = ""
    is_settled: bool = False


def version_of(df: DataFrame, name: Sequence[str]) -> Version:
    """Return the version of the table of a name that a DataFrame is, if it is one, and not a view.

    Args:
        df: All rows of the table.
        name: The parts of its name, with or without the catalog.
    """
    # PySpark shows plans as text only.
    node = df._jdf.queryExecution().analyzed()  # noqa: SLF001 - see above
    while node.children().size() == 1:
        if class_of(node) == "View":
            return Version()
        node = node.children().apply(0)
    if _is_of_iceberg(node) and _is_named(node, name):
        return _of_iceberg(node.table())
    if _is_of_delta(node):
        index = node.relation().location()
        return Version(DELTA, str(index.snapshotAtAnalysis().version()), bool(index.isTimeTravelQuery()))
    return Version()


def places_of(df: DataFrame) -> tuple[str, ...]:
    """Return the folders of the tables and files that a DataFrame reads, each of them once, as URLs or paths."""
    leaves = df._jdf.queryExecution().analyzed().collectLeaves()  # noqa: SLF001 - as above
    found = (place for index in range(leaves.size()) for place in _places(leaves.apply(index)))
    return tuple(dict.fromkeys(found))


def numbers_of(df: DataFrame) -> dict[str, int]:
    """Return the columns of a table of Iceberg, nested ones too, with their ids. A column keeps its id for ever."""
    leaf = df._jdf.queryExecution().analyzed().collectLeaves().apply(0)  # noqa: SLF001 - as above
    return {str(name): int(number) for number, name in leaf.table().table().schema().idToName().items()}


def _places(leaf: Any) -> Iterator[str]:  # noqa: ANN401 - the JVM's object
    if _is_of_iceberg(leaf):
        yield str(leaf.table().properties().get("location"))
    elif class_of(leaf) == "LogicalRelation" and class_of(leaf.relation()) == "HadoopFsRelation":
        paths = leaf.relation().location().rootPaths()
        yield from (str(paths.apply(index).toString()) for index in range(paths.size()))
    elif class_of(leaf) == "HiveTableRelation":
        place = leaf.tableMeta().storage().locationUri()
        if place.isDefined():
            yield str(place.get().toString())


def _is_of_iceberg(leaf: Any) -> bool:  # noqa: ANN401 - the JVM's object
    if class_of(leaf) != "DataSourceV2Relation":
        return False
    kind = str(leaf.table().getClass().getName())
    return kind.startswith("org.apache.iceberg.spark.") and kind.endswith(".SparkTable")


def _is_named(leaf: Any, name: Sequence[str]) -> bool:  # noqa: ANN401 - the JVM's object
    """Return whether a table has this name. A view of Iceberg is a query in a plan, without a node that says so."""
    if leaf.identifier().isEmpty():
        return False
    identifier = leaf.identifier().get()
    own = [*identifier.namespace(), identifier.name()]
    return list(name[-len(own) :]) == own


def _of_iceberg(table: Any) -> Version:  # noqa: ANN401 - the JVM's object
    selected = table.snapshotId()
    if selected is not None:
        return Version(ICEBERG, str(selected), is_settled=True)
    properties = table.properties()
    current = properties.get("current-snapshot-id")
    # Iceberg's tables about a table have no format version, and those of a branch name the main branch's snapshot.
    if properties.get("format-version") is None or table.branch() is not None or current in (None, _NONE):
        return Version(ICEBERG)
    return Version(ICEBERG, str(current))


def _is_of_delta(leaf: Any) -> bool:  # noqa: ANN401 - the JVM's object
    if class_of(leaf) != "LogicalRelation" or class_of(leaf.relation()) != "HadoopFsRelation":
        return False
    return str(leaf.relation().location().getClass().getName()) == "org.apache.spark.sql.delta.files.TahoeLogFileIndex"
