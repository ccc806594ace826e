"""A driver of its own, with executors as processes: reads `source` and writes it into `target`.

One task fails in mid-part, and is run again. Arguments: the options, as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pyspark import TaskContext
from pyspark.sql import SparkSession

if TYPE_CHECKING:
    import pyarrow as pa


def fail_once(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pass rows on; the first attempt at part 1 breaks after some."""
    task = TaskContext.get()
    for batch in batches:
        yield batch
        if task is not None and task.partitionId() == 1 and task.attemptNumber() == 0:
            raise RuntimeError("planted")


def main(options: dict[str, str]) -> None:
    """Read and write."""
    spark = SparkSession.builder.appName("pgcopy cluster").getOrCreate()
    df = spark.read.format("pgcopy").options(**options, table="source", parallelism="3").load()
    copied = df.mapInArrow(fail_once, df.schema)
    copied.write.format("pgcopy").options(**options, table="target", loadId="cluster").mode("append").save()
    spark.stop()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
