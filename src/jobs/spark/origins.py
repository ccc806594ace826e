"""Where a row comes from: its file, by input_file_name(), and its place in it, where Spark knows it.

A line is preceded by two fields, each ending in a tab: the hash of the file's name, which is shorter, and the number of
the row in it. After a shuffle, Spark knows no file. Only Parquet's reader knows the number.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as f
from pyspark.sql import types as t

_METADATA = "_metadata"
_ROW_INDEX = f"{_METADATA}.row_index"


@dataclass(frozen=True)
class Origin:
    """Where a row comes from.

    Attributes:
        file: The hash of the file's name.
        row: The number of the row in its file, from 1; None if Spark does not know it.
    """

    file: int
    row: int | None

    @classmethod
    def parse(cls, fields: bytes) -> Origin:
        """Return the origin that the fields before a line name."""
        file, row, _ = fields.split(b"\t")
        return cls(int(file), int(row) + 1 if row else None)


def with_place(df: DataFrame) -> DataFrame:
    """Return the rows with another column at the end: the number of each in its file, from 0, or NULL."""
    place = f.col(_ROW_INDEX) if _knows_rows(df) else f.lit(None).cast(t.LongType())
    return df.select("*", place)


def _knows_rows(df: DataFrame) -> bool:
    """Return whether the rows have a number in their file.

    The plan is asked, because PySpark 4.1 logs pages of JSON for each AnalysisException, also for one that is caught.
    """
    if _METADATA in (name.lower() for name in df.columns):
        return False
    hidden = df._jdf.queryExecution().analyzed().metadataOutput()  # noqa: SLF001 - PySpark does not list hidden columns
    columns = [hidden.apply(place) for place in range(hidden.size())]
    types = [column.dataType().json() for column in columns if column.name().lower() == _METADATA]
    return len(types) == 1 and '"name":"row_index"' in types[0]


def origin_of(place: Column) -> list[Column]:
    """Return the pieces of text that precede a line."""
    file = f.xxhash64(f.input_file_name()).cast("string")
    return [file, f.lit("\t"), f.coalesce(place.cast("string"), f.lit("")), f.lit("\t")]


def file_names(df: DataFrame, hashes: Collection[int]) -> Mapping[int, str]:
    """Return the names of files by their hashes; without those that are not files of the query."""
    names = [[name] for name in df.inputFiles()] if hashes else []
    if not names:
        return {}
    schema = t.StructType([t.StructField("name", t.StringType())])
    hashed = df.sparkSession.createDataFrame(names, schema).select("name", f.xxhash64("name").alias("hash"))
    found = hashed.where(f.col("hash").isin(*hashes)).collect()
    return {row["hash"]: row["name"] for row in found}
