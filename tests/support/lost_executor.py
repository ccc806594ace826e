"""Writes in one way after the other, in all modes at once, out of a shuffle; part 1 is slow until it is told to hurry.

spark-submit lost_executor.py SOURCE QUICK WAY..., with the database in PG*. What tells executors is a file, in a folder
on their class path; it is removed when a way is done.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pyspark.sql import SparkSession
from writes import MODES, PARTS, TEXT, Write

from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given


def main(source: Path, quick: Path, ways: list[str]) -> None:
    database = resolve(Given(), os.environ).settings
    spark = SparkSession.builder.getOrCreate()
    if len(ways) > 1:
        from jobs.pgcopy.datasource import PostgresCopyDataSource

        spark.dataSource.register(PostgresCopyDataSource)
    with ThreadPoolExecutor(len(MODES)) as pool:
        for way in ways:
            list(pool.map(lambda mode, way=way: run(Write(way, mode), spark, database, source), MODES))
            quick.unlink()


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
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
