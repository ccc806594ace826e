"""What the footers of Parquet files say: which file has a column that Spark cannot read, or an unknown calendar."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as f
from pyspark.sql import types as t

_MOST = 1000
"""Files that are looked at."""

_WRITER = "org.apache.spark.version"
"""The key of a footer by which Spark knows the calendar that Spark itself has written."""

_FIELD = re.compile(r"^\s*(?:optional|required|repeated) \S+ (?P<name>.+?) \((?P<type>.+)\)(?: = \d+)?;$", re.MULTILINE)
"""A column as Parquet prints it: `  optional int64 at (TIMESTAMP(NANOS,true));`."""


@dataclass(frozen=True)
class Found:
    """Columns of a file, by Parquet's names for their types."""

    file: str
    columns: tuple[str, ...]


def columns_of_type(spark: SparkSession, paths: Sequence[str], kind: re.Pattern[str]) -> Found | None:
    """Return a file that has columns of a type, and their names."""
    for file in _files(spark, paths):
        columns = named(str(_metadata(spark, file).getSchema().toString()), kind)
        if columns:
            return Found(file, columns)
    return None


def named(schema: str, kind: re.Pattern[str]) -> tuple[str, ...]:
    """Return the columns of a type, at any depth, of a schema as Parquet prints it."""
    return tuple(field["name"] for field in _FIELD.finditer(schema) if kind.search(field["type"]))


def nanosecond_columns(spark: SparkSession, paths: Sequence[str]) -> dict[str, bool] | None:
    """Return the columns of nanoseconds of all files, and whether they are instants.

    None if one is nested, or differs among the files, or if there are too many files to look at all.
    """
    columns: dict[str, bool] = {}
    files = _inputs(spark, paths)
    if len(files) > _MOST:
        return None
    for place in range(len(files)):
        schema = str(_metadata(spark, str(files[place])).getSchema().toString())
        for name, is_instant in instants(schema).items():
            if columns.setdefault(name, is_instant) != is_instant:
                return None
        if schema.count("(TIMESTAMP(NANOS,") != len(instants(schema)):
            return None
    return columns


def instants(schema: str) -> dict[str, bool]:
    """Return the columns of nanoseconds of a schema that are not nested, and whether they are instants."""
    return {column["name"]: column["utc"] == "true" for column in _NANOSECONDS.finditer(schema)}


_NANOSECONDS = re.compile(
    r"^  (?:optional|required) int64 (?P<name>.+?) \(TIMESTAMP\(NANOS,(?P<utc>true|false)\)\)(?: = \d+)?;$",
    re.MULTILINE,
)


def file_of_unknown_calendar(spark: SparkSession, paths: Sequence[str], options: Mapping[str, str]) -> str:
    """Return a file with dates that differ by calendar, and that does not say which one it has; empty if none is found.

    This reads the columns of dates and timestamps.
    """
    as_they_are = {"datetimeRebaseMode": "CORRECTED", "int96RebaseMode": "CORRECTED"}
    rows = spark.read.format("parquet").options(**{**options, **as_they_are}).load(list(paths))
    for row in _ancient(rows).select(f.input_file_name().alias("file")).distinct().limit(_MOST).collect():
        if _metadata(spark, row["file"]).getKeyValueMetaData().get(_WRITER) is None:
            return str(row["file"])
    return ""


def _ancient(rows: DataFrame) -> DataFrame:
    """Return rows with dates or timestamps that differ between the calendars, in columns that are not nested."""
    placed = rows.toDF(*[f"c{place}" for place in range(len(rows.columns))])
    conditions = [
        placed[name] < f.lit(_SINCE[type(field.dataType)]).cast(field.dataType)
        for name, field in zip(placed.columns, rows.schema)
        if type(field.dataType) in _SINCE
    ]
    return placed.where(reduce(or_, conditions, f.lit(False)))


_SINCE: dict[type[t.DataType], str] = {t.DateType: "1582-10-15", t.TimestampType: "1900-01-02"}
"""From when on the calendars, and the offsets of time zones, are the same; a day more, whatever the time zone is."""


def _files(spark: SparkSession, paths: Sequence[str]) -> Iterator[str]:
    """Yield the first files that Spark would read."""
    files = _inputs(spark, paths)
    for place in range(min(len(files), _MOST)):
        yield str(files[place])


def _inputs(spark: SparkSession, paths: Sequence[str]) -> Any:  # noqa: ANN401 - the JVM's array
    """Return the files that Spark would read: text has a schema of its own."""
    return spark.read.format("text").load(list(paths))._jdf.inputFiles()  # noqa: SLF001 - PySpark would transfer all


def _metadata(spark: SparkSession, file: str) -> Any:  # noqa: ANN401 - the JVM's object
    """Return what the footer of a file says of it as a whole."""
    jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - PySpark has no public access to footers
    conf = spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - see above
    parquet = jvm.org.apache.parquet.hadoop
    path = jvm.org.apache.hadoop.fs.Path(jvm.java.net.URI(file))
    reader = parquet.ParquetFileReader.open(parquet.util.HadoopInputFile.fromPath(path, conf))
    try:
        return reader.getFooter().getFileMetaData()
    finally:
        reader.close()
