"""Loads of changes: of a capture's batches, which are files here as a capture writes them."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from followed import Model, until_done
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.feeds.loads import load_changes
from jobs.flows.load.files import Files
from jobs.flows.load.job import LoadJob
from jobs.flows.report import LoadReport

SCHEMA = pa.schema(
    [("_op", pa.string()), ("_key", pa.string()), ("_ordinal", pa.int64()), ("id", pa.int32()), ("v", pa.string())]
)


class Batches:
    """A capture's folder, and the load of what is new in it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark, self.folder = spark, folder
        self.number = 0

    def write(self, written: Mapping[int, str], deleted: Iterable[int] = (), *, complete: bool = True) -> Path:
        """Write a batch; one that is not complete lacks _SUCCESS."""
        self.number += 1
        folder = self.folder / f"pgjobs_batch={self.number:012d}"
        folder.mkdir(parents=True)
        rows = [("U", key, value) for key, value in written.items()] + [("D", key, None) for key in deleted]
        columns = [[op for op, _, _ in rows], ["{}"] * len(rows), [None] * len(rows), *zip(*[row[1:] for row in rows])]
        columns = columns if rows else [[] for _ in SCHEMA]
        pq.write_table(
            pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA)], SCHEMA), folder / "part.parquet"
        )
        if complete:
            (folder / "_SUCCESS").touch()
        return folder

    def load(self, database: Settings, load_id: str = "x", select: str = "", **values: object) -> LoadReport:
        job = LoadJob(TableName("t"), database, load_id, Move("upsert", (), ("id",)))
        return load_changes(
            job,
            Files([str(self.folder)], "parquet", [], select=select),
            lambda: self.spark,
            **values,  # type: ignore[arg-type]
        )


@pytest.fixture
def batches(spark: SparkSession, tmp_path: Path) -> Batches:
    return Batches(spark, tmp_path / "orders")


def rows(session: Session) -> list[list[object]]:
    return session.run("SELECT id, v FROM t ORDER BY id")


def test_after_random_batches_with_crashes_between_the_table_is_equal(
    batches: Batches, database: Settings, session: Session
) -> None:
    """Sometimes several batches come before a load, and some are never completed."""
    choose = random.Random(7)  # noqa: S311 - a repeatable draw, and no secret
    model = Model(choose)
    crashes = loads = 0
    for number in range(10):
        if choose.random() < 0.2:
            batches.write({99: "never"}, complete=False)
        batches.write(*model.commit())
        if choose.random() < 0.6:
            loads += 1
            crashes += until_done(lambda way, n=number: batches.load(way, f"load {n}"), database, choose)  # type: ignore[misc]
            assert rows(session) == [list(row) for row in sorted(model.rows.items())], number
    assert (loads, crashes) > (3, 1)
    assert session.run("SELECT count(*) FROM table_updates") == [[loads]]


def test_a_position_that_the_folder_has_lost_is_not_skipped(
    batches: Batches, database: Settings, session: Session
) -> None:
    first = batches.write({1: "a"})
    assert batches.load(database, "1").rows_inserted == 1
    batches.write({2: "b"})
    shutil.rmtree(first)
    with pytest.raises(LoadError, match="does not have this batch any more"):
        batches.load(database, "2")
    batches.number = 0
    batches.write({3: "of another capture"})
    with pytest.raises(LoadError, match="written by another capture"):
        batches.load(database, "2")
    assert rows(session) == [[1, "a"]]


def test_a_query_sees_changes_and_rows_that_leave_it_are_deleted(
    batches: Batches, database: Settings, session: Session
) -> None:
    """What it leaves out of a row is left out; to lose what tells the change is an error."""
    select = "SELECT id, upper(v) AS v, IF(v = 'gone', 'D', _op) AS _op, pgjobs_batch FROM source"
    batches.write({1: "a", 2: "b"})
    batches.load(database, "1", select)
    batches.write({1: "gone", 3: "c"})
    batches.load(database, "2", select)
    assert rows(session) == [[2, "B"], [3, "C"]]
    with pytest.raises(UsageError, match="other values of --keys, --select"):
        batches.load(database, "3", "SELECT * FROM source")
    session.run("TRUNCATE t")
    with pytest.raises(UsageError, match="--select leaves out _op, pgjobs_batch"):
        batches.load(database, "3", "SELECT id, v FROM source", full=True)


def test_a_condition_that_would_leave_out_deletes_is_refused(
    batches: Batches, database: Settings, session: Session
) -> None:
    """A deleted row has its key alone, and one that does not fulfil the condition any more is not told as it was."""
    batches.write({1: "a", 2: "b", 3: "gone"})
    with pytest.raises(UsageError, match="--select has a condition") as caught:
        batches.load(database, "1", "SELECT * FROM source WHERE v <> 'gone'")
    assert "IF(region = 'EU', _op, 'D') AS _op, pgjobs_batch" in caught.value.hint
    select = "SELECT id, v, IF(v <> 'gone', _op, 'D') AS _op, pgjobs_batch FROM source"
    batches.load(database, "1", select)
    batches.write({1: "gone"}, deleted=[2])
    batches.load(database, "2", select)
    assert rows(session) == []


def test_a_folder_that_does_not_exist_is_refused_and_one_without_batches_has_nothing_new(
    batches: Batches, database: Settings
) -> None:
    with pytest.raises(UsageError, match="There is no folder"):
        batches.load(database, "1")
    batches.folder.mkdir()
    assert batches.load(database, "1").nothing_new


def test_files_that_no_capture_has_written_are_refused_and_not_taken_for_none(
    spark: SparkSession, batches: Batches, database: Settings, session: Session
) -> None:
    """The load id would be recorded, and the files would never be loaded under it."""
    spark.range(3).write.parquet(str(batches.folder))
    with pytest.raises(UsageError, match="has no batches of a capture, but other files, such as"):
        batches.load(database, "1")
    [[ledger]] = session.run("SELECT to_regclass('pgjobs_loads')::text")
    assert ledger is None or session.run(f"SELECT * FROM {ledger}") == []
