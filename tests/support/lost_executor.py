"""Writes in every way and mode at once, and loses an executor with its shuffle while all are in the middle of part 1.

spark-submit lost_executor.py FOLDER SOURCE WAY..., with the database in PG*. What tasks need is in this file, for
Spark brings its functions to them by value.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from writes import MODES, PARTS, TEXT, Write

from jobs.dbaccess.resolve import resolve
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.sources import Given

if TYPE_CHECKING:
    import pyarrow as pa

PATIENCE = 120.0
"""Seconds to wait for a note, before the task fails and the test with it."""


def main(folder: Path, source: Path, ways: list[str]) -> None:
    (folder / "driver").write_text(str(os.getpid()))
    database = resolve(Given(), os.environ).settings
    spark = SparkSession.builder.getOrCreate()
    if len(ways) > 1:
        from jobs.pgcopy.datasource import PostgresCopyDataSource

        spark.dataSource.register(PostgresCopyDataSource)
    writes = [Write(way, mode) for way in ways for mode in MODES]
    with ThreadPoolExecutor(len(writes)) as pool:
        list(pool.map(lambda write: run(write, spark, database, folder, source, len(writes)), writes))


def run(write: Write, spark: SparkSession, database: Settings, folder: Path, source: Path, writes: int) -> None:
    spark.createDataFrame([], "id int")  # makes the session this thread's: else, Spark finds no Python source
    rows = write.read(spark, source).repartition(PARTS, "id").selectExpr("id", f"{TEXT} AS v")
    own = folder / write.table
    own.mkdir()
    write.run(disturbed(rows, folder, write.table, writes), database, own)


def disturbed(df: DataFrame, folder: Path, name: str, writes: int) -> DataFrame:
    """The same rows; in the middle of part 1, the last of all writes to arrive there ends its executor."""

    def pass_on(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        for number, batch in enumerate(batches):
            if number == 2 and task is not None and task.partitionId() == 1 and not (folder / "killed").exists():
                (folder / f"arrived-{name}").touch()
                wait_for_all(folder, writes)
            yield batch

    return df.mapInArrow(pass_on, df.schema)


def wait_for_all(folder: Path, writes: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not (folder / "killed").exists():
        if time.monotonic() > deadline:
            raise TimeoutError("not all came")
        if len(list(folder.glob("arrived-*"))) == writes:
            kill_executor(folder)
        time.sleep(0.02)


def kill_executor(folder: Path) -> None:
    """Once. The daemon of PySpark, which forks the workers, is the executor's child."""
    try:
        (folder / "killed").touch(exist_ok=False)
    except FileExistsError:
        return
    stat = Path(f"/proc/{os.getppid()}/stat").read_text()
    os.kill(int(stat.rpartition(")")[2].split()[1]), signal.SIGKILL)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
