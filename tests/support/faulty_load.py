"""Loads rows, in several modes at once, out of an input in which something happens in the middle of part 1.

spark-submit faulty_load.py WHAT FOLDER LOAD... [-- WHAT FOLDER LOAD...], with the database in PG*. A folder is where
tasks and the test leave each other notes. What stands behind `--` is done next: Spark takes longer to start.
All that tasks need is in this file, for Spark brings its functions to them by value.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from secrets import randbelow
from typing import TYPE_CHECKING, Callable

from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import udf

from jobs.cli.run import run_job
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport

if TYPE_CHECKING:
    import pyarrow as pa

ROWS, PARTS = 40_000, 4
PATIENCE = 300.0
"""Seconds to wait for a note, before the task fails and the test with it."""

BEGIN = "Now "
"""What is printed before each input, with its name."""

Input = Callable[[SparkSession, Path], DataFrame]
Happening = Callable[[Path, TaskContext], None]


@dataclass(frozen=True)
class Load:
    """One of several loads that go on at once, each into a table of its own.

    Attributes:
        table: where to; it names the load, too.
        mode: as load_table.py takes it.
        keys: likewise.
    """

    table: str
    mode: str
    keys: tuple[str, ...] = ()

    @property
    def load_id(self) -> str:
        return f"faulty {self.table}"

    def run(self, df: DataFrame, database: Settings) -> LoadReport:
        return load_dataframe(
            df, table=self.table, settings=database, mode=self.mode, keys=self.keys, load_id=self.load_id
        )


APPEND = Load("append", "append")
OVERWRITE = Load("overwrite", "overwrite")
UPSERT = Load("upsert", "upsert", ("id",))
IGNORE = Load("ignore", "ignore", ("id",))
NEW = Load("new", "append")
"""Into a table that is missing."""

ANOTHER = Load("another", "append")
"""As `APPEND`."""

INTO_TABLES = (APPEND, OVERWRITE, UPSERT, IGNORE)
ALL = (*INTO_TABLES, NEW)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    spark = SparkSession.builder.getOrCreate()
    settings = resolve(Given(), environ).settings
    statuses = []
    for what, folder, *tables in [list(words) for divides, words in groupby(arguments, "--".__eq__) if not divides]:
        notes = Path(folder)
        notes.mkdir(exist_ok=True)
        (notes / "driver").write_text(str(os.getpid()))
        sys.stdout.write(f"{BEGIN}{what}\n")
        sys.stdout.flush()
        loads = [load for load in (*ALL, ANOTHER) if load.table in tables]
        statuses.append(load_at_once(loads, INPUTS[what], notes, spark, settings))
    return max(statuses)


def load_at_once(loads: Sequence[Load], read: Input, notes: Path, spark: SparkSession, settings: Settings) -> int:
    def load(load: Load) -> int:
        return run_job(lambda: tell(load.run(read(spark, notes), settings)), verbose=False)

    with ThreadPoolExecutor() as pool:
        return max(pool.map(load, loads))


def tell(report: LoadReport) -> None:
    sys.stdout.write(report.summary() + "\n")


def numbers(spark: SparkSession) -> DataFrame:
    return spark.range(0, ROWS, 1, PARTS).selectExpr("id", "concat('row ', id) AS name")


def whole(spark: SparkSession, _: Path) -> DataFrame:
    return numbers(spark)


def stalling(spark: SparkSession, folder: Path) -> DataFrame:
    """Waits, for the test to do something and then to leave the note `go`."""
    return disturbed(numbers(spark), folder, stall)


def losing_an_executor(spark: SparkSession, folder: Path) -> DataFrame:
    return disturbed(numbers(spark), folder, kill_executor)


def outrun_by_its_twin(spark: SparkSession, folder: Path) -> DataFrame:
    """The first attempt goes no further; the second one passes."""
    return disturbed(numbers(spark), folder, let_twin_pass)


def losing_a_shuffle(spark: SparkSession, folder: Path) -> DataFrame:
    """Deals rows out by chance. When the shuffle is computed anew, each part is dealt other rows than before."""
    dealt = numbers(spark).withColumn("dealt", udf(lambda _: randbelow(1000), "int").asNondeterministic()("id"))
    return disturbed(dealt.repartition(PARTS, "dealt").drop("dealt"), folder, kill_executor, part=PARTS - 1)


INPUTS: Mapping[str, Input] = {
    function.__name__: function
    for function in (whole, stalling, losing_an_executor, outrun_by_its_twin, losing_a_shuffle)
}


def disturbed(df: DataFrame, folder: Path, happening: Happening, part: int = 1) -> DataFrame:
    """The same rows; on the way through a part's, something happens after the first of several batches."""

    def pass_on(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        task = TaskContext.get()
        assert task is not None
        for number, batch in enumerate(batches):
            if number == 1 and task.partitionId() == part:
                happening(folder, task)
            yield batch

    return df.mapInArrow(pass_on, df.schema)


def stall(folder: Path, task: TaskContext) -> None:
    (folder / f"stalled-{task.taskAttemptId()}").touch()
    wait_until((folder / "go").exists)


def kill_executor(folder: Path, _: TaskContext) -> None:
    try:
        (folder / "killed").touch(exist_ok=False)
    except FileExistsError:
        return
    daemon = os.getppid()  # of PySpark, which forks the workers, and is the executor's child
    os.kill(parent_of(daemon), signal.SIGKILL)


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:  # macOS
        told = subprocess.run(["/bin/ps", "-o", "ppid=", "-p", str(pid)], capture_output=True, text=True, check=True)
        return int(told.stdout)


def let_twin_pass(folder: Path, task: TaskContext) -> None:
    (folder / f"stalled-{task.taskAttemptId()}").touch()
    if len(list(folder.glob("stalled-*"))) == 1:
        wait_until(lambda: False)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("nobody came")
        time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
