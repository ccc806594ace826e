"""Faults in the middle of a part, in every way to write: what Spark did not accept is not published, the rest is."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lost_executor
import pytest
from pgcopies import register_for_threads
from process_sockets import process_of
from pyspark.sql import DataFrame, SparkSession
from spark_settings import spark_settings
from streams import HAS_SINK
from submitted import submit, until
from writes import MODES, PARTS, ROWS, TEXT, Write, ask, copies_under_way, left_of_staging, until_claimed, until_copying

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name

SPARK_4 = find_spec("pyspark.sql.datasource") is not None
"""Python data sources are Spark 4's."""

WAYS = ["load", *(["batch"] if SPARK_4 else []), *(["stream"] if HAS_SINK else [])]

WRITES = [Write(way, mode) for way in WAYS for mode in MODES]
OF_EACH_WAY = [Write("load", "upsert"), Write("batch", "append"), Write("stream", "overwrite")] if HAS_SINK else WRITES
"""A write of each way, and together of each mode."""

EACH_WRITE = pytest.mark.parametrize("write", WRITES, ids=lambda write: f"{write.way}-{write.mode}")


@pytest.fixture(scope="module")
def source(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ids, in a file for each part."""
    path = tmp_path_factory.mktemp("source") / "ids"
    spark.range(0, ROWS, 1, PARTS).write.parquet(str(path))
    return path


class Way:
    """A write on its way, slow until it is told to be quick."""

    def __init__(self, spark: SparkSession, database: Settings, source: Path, folder: Path, write: Write) -> None:
        self.spark = spark
        self.database = database
        self.write = write
        self._source = source
        self._folder = folder
        self.key = f"pgjobs.test.{folder.name}"
        self.jvm: Any = spark.sparkContext._jvm  # noqa: SLF001 - what happens to tasks is the JVM's
        self.scala: Any = spark.sparkContext._jsc.sc()  # noqa: SLF001 - likewise

    def slow(self, df: DataFrame, parts: str = ">= 0") -> DataFrame:
        """The rows with their text. In these parts the JVM naps, until it is told to hurry.

        The first batches come soon. The rest takes half a minute, in which even on a busy machine something can happen.
        """
        self.jvm.java.lang.System.setProperty(self.key, "slow")
        late = f"id % 20 = 0 AND spark_partition_id() {parts}"
        is_slow = f"{late} AND java_method('java.lang.System', 'getProperty', '{self.key}') = 'slow'"
        longer = f"IF(id % {ROWS // PARTS} < {ROWS // PARTS // 2}, 20L, 200L)"
        nap = f"substring(java_method('java.lang.Thread', 'sleep', {longer}), 1, 0)"
        return df.selectExpr("id", f"concat({TEXT}, IF({is_slow}, {nap}, '')) AS v")

    def failing_once(self, df: DataFrame) -> DataFrame:
        """An error in the JVM, of the first attempt only."""
        is_first = f"java_method('java.lang.System', 'setProperty', '{self.key}', 'failed') = 'null'"
        planted = f"IF(id = {ROWS // PARTS * 3 // 2} AND {is_first}, raise_error('planted'), {TEXT})"
        return df.selectExpr("id", f"{planted} AS v")

    def quick(self) -> None:
        self.jvm.java.lang.System.setProperty(self.key, "quick")

    def read(self) -> DataFrame:
        return self.write.read(self.spark, self._source)

    def run(self, df: DataFrame, disturb: Callable[[], None] = lambda: None) -> None:
        """Write, and disturb it meanwhile: from another thread, for there Spark would find no Python source."""

        def disturb_and_hurry() -> None:
            try:
                disturb()
            finally:
                self.quick()

        with ThreadPoolExecutor(1) as pool:
            disturbing = pool.submit(disturb_and_hurry)
            self.write.run(df, self.database, self._folder)
            disturbing.result()


@pytest.fixture
def way_of(
    spark: SparkSession, database: Settings, session: Session, source: Path, tmp_path: Path
) -> Iterator[Callable[[Write], Way]]:
    """Prepares a write; afterwards all rows must be there."""
    ways: list[Way] = []

    def prepare(write: Write) -> Way:
        write.prepare(session)
        ways.append(Way(spark, database, source, tmp_path, write))
        return ways[-1]

    register_for_threads(spark)
    several_batches = {"spark.sql.execution.arrow.maxRecordsPerBatch": "500"}
    with spark_settings(spark, {**several_batches, "spark.sql.shuffle.partitions": str(PARTS)}):
        yield prepare


@EACH_WRITE
def test_an_error_in_the_middle_of_a_part_that_passes_costs_no_row(
    way_of: Callable[[Write], Way], session: Session, write: Write
) -> None:
    way = way_of(write)
    way.run(way.failing_once(way.read()))
    assert way.jvm.java.lang.System.getProperty(way.key) is not None
    write.assert_held(session)
    assert left_of_staging(session) == []


@EACH_WRITE
def test_a_killed_worker_a_killed_task_and_a_lost_shuffle_in_the_middle_of_a_part_cost_no_row(
    way_of: Callable[[Write], Way], session: Session, write: Write
) -> None:
    """One after the other in one write. The attempt after the killed task misses the shuffle: its stage runs again."""
    way = way_of(write)

    def disturb() -> None:
        killed: set[int] = set()
        if sys.platform == "linux":  # where a connection's process is found by /proc
            killed = until_copying(way.database)
            kill_the_worker(way, killed)
        until_copying(way.database, killed)
        lost = lose_a_map_output(way)
        kill_the_task(way)
        until_computed_anew(way, lost)

    way.run(way.slow(way.read().repartition(PARTS, "id"), "= 1"), disturb)
    write.assert_held(session)
    assert left_of_staging(session) == []


def kill_the_worker(way: Way, copying: set[int]) -> None:
    [pid] = copying
    [[port]] = ask(way.database, f"SELECT client_port FROM pg_stat_activity WHERE pid = {pid}")
    os.kill(process_of(int(str(port))), signal.SIGKILL)


def kill_the_task(way: Way) -> None:
    """The newest attempt at part 1."""
    [[table]] = ask(way.database, "SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_parts_' AND relkind = 'r'")
    [[attempt]] = ask(way.database, f"SELECT max(attempt) FROM {quote_name(str(table))} WHERE part = 1")
    assert way.scala.killTaskAttempt(attempt, True, "planted")


def test_an_executor_that_is_killed_with_its_shuffle_costs_no_row(
    database: Settings, session: Session, source: Path, tmp_path: Path
) -> None:
    """In a cluster: the rest of the parts fails to fetch, and the stage is run again."""
    for write in OF_EACH_WAY:
        write.prepare(session)
    quick = tmp_path / "notes" / "quick"
    quick.parent.mkdir()
    conf = {
        "spark.master": f"local-cluster[2,{len(OF_EACH_WAY)},1024]",
        "spark.executor.extraClassPath": str(quick.parent),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "500",
        "spark.sql.shuffle.partitions": str(PARTS),
    }
    with submit(
        Path(lost_executor.__file__),
        [str(source), *(f"{write.way}-{write.mode}" for write in OF_EACH_WAY)],
        conf,
        database,
        tmp_path,
    ) as job:
        job.until(lambda: len(copies_under_way(session)) == len(OF_EACH_WAY), "the copying of each part 1", 300)
        job.kill_executor()
        quick.touch()
        assert job.status() == 0, job.output
    for write in OF_EACH_WAY:
        write.assert_held(session)
    assert left_of_staging(session) == []


@pytest.mark.parametrize("rows", ["limit", "dropDuplicates"])
def test_a_load_starts_over_when_a_shuffle_of_rows_that_depend_on_their_order_is_computed_anew_under_its_parts(
    way_of: Callable[[Write], Way], database: Settings, session: Session, tmp_path: Path, rows: str
) -> None:
    """Spark calls such an input determinate, and goes on."""
    write = Write("load", "append")
    way = way_of(write)
    ids = way.read()
    chosen = ids.limit(ROWS // 2) if rows == "limit" else ids.dropDuplicates(["id"])

    def lose() -> None:
        until_claimed(database, 1)
        lost = lose_a_map_output(way)
        way.quick()
        until_computed_anew(way, lost)

    folder = tmp_path / "log"
    with told_to(folder):
        way.run(way.slow(chosen.repartition(PARTS, "id"), ">= 1"), lose)
    assert "Starting over" in folder.read_text()
    expected = ROWS // 2 if rows == "limit" else ROWS
    query = f"SELECT count(*), count(DISTINCT id) FROM {quote_name(write.table)} WHERE v <> 'old'"
    assert session.run(query) == [[expected, expected]]


def test_a_load_does_not_start_over_for_a_shuffle_that_was_there_all_the_time(
    way_of: Callable[[Write], Way], session: Session, tmp_path: Path
) -> None:
    write = Write("load", "overwrite")
    way = way_of(write)
    rows = way.read().groupBy("id").count().repartition(PARTS * 2, "id").selectExpr("id", f"{TEXT} AS v")
    with told_to(tmp_path / "log"):
        way.run(rows)
        way.run(rows)
    assert (tmp_path / "log").read_text() == ""
    write.assert_held(session)
    assert left_of_staging(session) == []


@contextmanager
def told_to(file: Path) -> Iterator[None]:
    """What loads warn of, in a file meanwhile."""
    handler = logging.FileHandler(file)
    handler.setLevel(logging.WARNING)
    logging.getLogger("jobs").addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger("jobs").removeHandler(handler)
        handler.close()


def map_outputs(way: Way) -> dict[tuple[int, int], list[Path]]:
    """Files of shuffles: by shuffle and task."""
    found: dict[tuple[int, int], list[Path]] = {}
    for folder in way.scala.env().blockManager().diskBlockManager().localDirs():
        for path in Path(folder.getPath()).glob("*/shuffle_*_*_0.*"):
            _, shuffle, task, _ = path.stem.split("_")
            found.setdefault((int(shuffle), int(task)), []).append(path)
    return found


def until_computed_anew(way: Way, lost: tuple[int, int]) -> None:
    """Wait for it meanwhile: after the write, Spark soon deletes the files of its shuffles."""
    until(lambda: max(map_outputs(way), default=lost) > lost, "the lost map output")


def lose_a_map_output(way: Way) -> tuple[int, int]:
    """Delete the files that the last task of the newest shuffle wrote."""
    files = map_outputs(way)
    newest = max(files)
    for path in files[newest]:
        path.unlink()
    return newest
