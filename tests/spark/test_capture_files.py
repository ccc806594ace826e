"""Files tell each change: what the newest version of each key says is the table, at least once, and honestly."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture import files
from jobs.flows.capture.job import CaptureJob, Files, Stop
from jobs.flows.capture.report import CaptureReport
from jobs.flows.load.dataframe import load_dataframe

T = "CREATE TABLE t (id int PRIMARY KEY, a text, n int); INSERT INTO t SELECT g, 'a', g FROM generate_series(1, 5) g"


class Lake:
    """Captures the table t into a folder, and reads what the last batch told."""

    def __init__(self, spark: SparkSession, database: Settings, path: Path) -> None:
        self.spark, self.database, self.path = spark, database, path

    def run(self, **values: object) -> CaptureReport:
        lake = Files(str(self.path), ordinal="n")
        job = CaptureJob(self.database, TableName("t"), files=lake, **values)  # type: ignore[arg-type]
        return files.run(job, Stop(), lambda: self.spark)

    def told(self) -> list[tuple[object, ...]]:
        folder = max(self.path.iterdir())
        rows = self.spark.read.parquet(str(folder)).collect()
        return sorted(tuple(row[name] for name in ("_op", "_key", "_ordinal", "id", "a")) for row in rows)

    def folders(self) -> list[str]:
        return sorted(folder.name for folder in self.path.iterdir())


@pytest.fixture
def lake(spark: SparkSession, database: Settings, tmp_path: Path) -> Lake:
    return Lake(spark, database, tmp_path / "lake")


def test_the_folder_is_there_before_the_first_row(lake: Lake, session: Session) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, n int)")
    lake.run()
    assert lake.folders() == []


def test_a_batch_is_marked_as_complete_also_where_spark_marks_none(lake: Lake, session: Session) -> None:
    hadoop = lake.spark.sparkContext._jsc.hadoopConfiguration()  # noqa: SLF001 - a setting of the cluster
    name = "mapreduce.fileoutputcommitter.marksuccessfuljobs"
    session.run(T)
    hadoop.set(name, "false")
    try:
        lake.run()
    finally:
        hadoop.unset(name)
    assert [(folder / "_SUCCESS").exists() for folder in lake.path.iterdir()] == [True]


def test_each_change_is_told_as_it_is_for_the_reader(lake: Lake, session: Session) -> None:
    session.run(T)
    assert lake.run(filter="n <> 3").rows_written == 4
    assert lake.told()[0] == ("I", '{"id": 1}', 1, 1, "a")
    session.run("UPDATE t SET a = 'b' WHERE id = 1; UPDATE t SET n = 3 WHERE id = 2; UPDATE t SET n = 7 WHERE id = 3")
    session.run("DELETE FROM t WHERE id = 4; UPDATE t SET id = 50 WHERE id = 5; INSERT INTO t VALUES (6, 'x', 3)")
    session.run("INSERT INTO t VALUES (8, 'gone at once', 1); DELETE FROM t WHERE id = 8")
    lake.run(filter="n <> 3")
    assert lake.told() == [
        ("D", '{"id": 2}', None, 2, None),
        ("D", '{"id": 4}', None, 4, None),
        ("D", '{"id": 5}', None, 5, None),
        ("I", '{"id": 3}', 7, 3, "a"),
        ("I", '{"id": 50}', 5, 50, "a"),
        ("U", '{"id": 1}', 1, 1, "b"),
    ]
    assert lake.run(filter="n <> 3").batches == 0
    session.run("TRUNCATE t; INSERT INTO t VALUES (1, 'after', 9)")
    lake.run(filter="n <> 3")
    assert lake.told() == [
        ("D", '{"id": 3}', None, 3, None),
        ("D", '{"id": 50}', None, 50, None),
        ("U", '{"id": 1}', 9, 1, "after"),
    ]
    assert lake.folders() == [f"pgjobs_batch={number:012d}" for number in (1, 2, 3)]


@pytest.mark.parametrize("complete", [True, False])
def test_a_batch_that_died_before_its_position_was_stored_is_told_again(
    lake: Lake, session: Session, complete: bool
) -> None:
    session.run(T)
    lake.run()
    session.run("CREATE TABLE before AS TABLE pgjobs_captures")
    session.run("INSERT INTO public__t__pgjobs_r SELECT 'another', '', number, snapshot FROM public__t__pgjobs_r")
    session.run("INSERT INTO t VALUES (6, 'x', 1), (7, 'y', 1)")
    lake.run()
    session.run("DELETE FROM pgjobs_captures; INSERT INTO pgjobs_captures TABLE before")
    session.run("UPDATE public__t__pgjobs_r SET number = 1")
    if not complete:
        (lake.path / "pgjobs_batch=000000000002" / "_SUCCESS").unlink()
    session.run("DELETE FROM t WHERE id = 6")
    lake.run()
    again: list[tuple[object, ...]] = [("I", '{"id": 7}', 1, 7, "y")]
    if complete:  # somebody may have read it
        again = [("D", '{"id": 6}', None, 6, None), ("U", '{"id": 7}', 1, 7, "y")]
    assert lake.told() == again
    assert lake.folders()[-1] == f"pgjobs_batch=00000000000{3 if complete else 2}"


def test_a_reader_that_was_forgotten_cannot_tell_what_is_gone(lake: Lake, session: Session) -> None:
    session.run(T)
    lake.run()
    session.run("DELETE FROM public__t__pgjobs_r")
    with pytest.raises(UsageError, match="does not know the reader"):
        lake.run()


def some_changes(chance: random.Random) -> str:
    """Inserts, updates, deletes and changes of keys."""
    one, other = chance.randrange(12), chance.randrange(12)
    value = chance.choice(["'x'", "'y'", "NULL", "''"])
    return chance.choice(
        [
            f"INSERT INTO t VALUES ({one}, {value}, {other}) ON CONFLICT DO NOTHING",
            f"UPDATE t SET a = {value}, n = {other} WHERE id = {one}",
            f"DELETE FROM t WHERE id = {one}",
            f"UPDATE t SET id = {one} WHERE id = {other} AND NOT EXISTS (SELECT FROM t WHERE id = {one})",
        ]
    )


def test_a_table_that_files_are_loaded_into_stays_equal(lake: Lake, session: Session, database: Settings) -> None:
    """The last file alone is enough, and so are all of them, in any state of the copy. A rerun changes nothing."""
    chance = random.Random(17)  # noqa: S311 - no secret
    session.run(T)
    rows = "SELECT array_agg(r::text ORDER BY id) FROM {} AS r"
    for which in ("all", "last", "all"):
        for _ in range(25):
            session.run(some_changes(chance))
        lake.run()
        folder = lake.path if which == "all" else max(lake.path.iterdir())
        report = load_dataframe(
            lake.spark.read.parquet(str(folder)), table="copied", settings=database, mode="upsert", keys=["id"]
        )
        assert session.run(rows.format("copied")) == session.run(rows.format("t"))
    assert report.rows_updated
    assert report.rows_deleted
    assert session.run("SELECT count(*) FROM information_schema.columns WHERE table_name = 'copied'") == [[3]]


def test_a_null_value_that_would_hide_deletes_is_refused_and_another_one_keeps_them(
    lake: Lake, session: Session, database: Settings
) -> None:
    session.run(T)
    session.run("CREATE TABLE copied (LIKE t INCLUDING ALL); INSERT INTO copied TABLE t")
    lake.run()
    session.run("DELETE FROM t WHERE id = 4")
    lake.run()

    def load(null_value: str) -> None:
        changes = lake.spark.read.parquet(str(max(lake.path.iterdir())))
        job = {"table": "copied", "settings": database, "mode": "upsert", "keys": ["id"]}
        load_dataframe(changes, null_values=[null_value], **job)  # type: ignore[arg-type]

    with pytest.raises(UsageError, match="--null-value D would make NULL of the values that mark deletes"):
        load("D")
    assert session.value("SELECT count(*) FROM copied") == 5
    load("d")
    assert session.value("SELECT array_agg(id ORDER BY id) FROM copied") == [1, 2, 3, 5]
