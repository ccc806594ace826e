"""Uses what Spark's JVMs use in tests, so that its classes get into the archive that jvm.py makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    import pyarrow as pa


def same(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def main() -> None:
    spark = SparkSession.builder.getOrCreate()
    rows = spark.range(0, 100, 1, 2).selectExpr("id", "concat('row ', id) AS name", "id % 7 AS k")
    rows.write.parquet("parquet")
    rows.write.option("header", "true").csv("csv")
    read = spark.read.option("header", "true").option("inferSchema", "true").csv("csv")
    read.join(spark.read.parquet("parquet"), "id").groupBy("id").count().collect()
    rows.mapInArrow(same, rows.schema).repartition(2, "k").collect()
    spark.createDataFrame([(1, "x")], "a int, b string").rdd.map(tuple).collect()
    spark.stop()


if __name__ == "__main__":
    main()
