"""Writes in several ways and modes at once, out of a shuffle; part 1 of each is slow until it is told to hurry.

spark-submit lost_executor.py SOURCE WAY-MODE..., with the database in PG*. What tells executors is a file, `quick`, in
a folder on their class path.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pgcopies import register_for_threads
from pyspark.sql import SparkSession
from writes import PARTS, TEXT, Write

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given


def main(source: Path, words: list[str]) -> None:
    database = resolve(Given(), os.environ).settings
    spark = SparkSession.builder.getOrCreate()
    register_for_threads(spark)
    writes = [Write(*word.split("-")) for word in words]
    with ThreadPoolExecutor(len(writes)) as pool:
        list(pool.map(lambda write: run(write, spark, database, source), writes))


def run(write: Write, spark: SparkSession, database: Settings, source: Path) -> None:
    spark.createDataFrame([], "id int")  # makes the session this thread's: else, Spark finds no Python source
    folder = Path(write.table)
    folder.mkdir()
    waits = "java_method('java.lang.ClassLoader', 'getSystemResource', 'quick') = 'null'"
    nap = "substring(java_method('java.lang.Thread', 'sleep', 300L), 1, 0)"
    slow = f"IF(spark_partition_id() = 1 AND id % 25 = 0 AND {waits}, {nap}, '')"
    rows = write.read(spark, source).repartition(PARTS, "id")
    write.run(rows.selectExpr("id", f"concat({TEXT}, {slow}) AS v"), database, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
