"""Incremental extracts: each run takes what is new, once, into a folder of its own."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from extracts import Target, ids
from faults import Cut, cuts_on_the_way_to
from pyspark.sql import SparkSession

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, ExtractError, UsageError
from jobs.dbaccess.extract import watermark
from jobs.dbaccess.extract.window import Window
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract import watermark_runs
from jobs.flows.extract.job import ExtractReport, FilesJob, run
from jobs.flows.extract.plan import Wanted
from jobs.flows.extract.watermark_runs import Turn

T = TableName("t")


RUN = "out/pgjobs_watermark=w/pgjobs_run="
"""What the folders of the watermark w begin with."""


def test_each_run_takes_what_is_new_and_moves_the_watermark_when_the_files_are_there(
    spark: SparkSession, session: Session, database: Settings, to_files: Target, tmp_path: Path
) -> None:
    """A transaction that was running at the first run commits a lower ordinal later, and is not missed."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, version int, x text)")
    session.run("INSERT INTO t SELECT n, n FROM generate_series(1, 5) n")
    arguments = {"ordinal": "version", "mark": "w", "columns": ("id",)}
    with connect(database, "slow") as slow:
        slow.run("BEGIN; INSERT INTO t VALUES (6, 6)")
        session.run("INSERT INTO t VALUES (7, 700)")
        first = to_files("append", **arguments)
        slow.run("COMMIT")
    second = to_files("append", **arguments)
    third = to_files("append", **arguments)
    assert [report.rows for report in (first, second, third)] == [5, 2, 0]
    assert [ids(spark, tmp_path / f"{RUN}{run}") for run in (1, 2, 3)] == [[1, 2, 3, 4, 5], [6, 7], []]
    marks = [(report.watermark_from, report.watermark_to) for report in (first, second, third)]
    assert marks == [(None, "5"), ("5", "700"), ("700", "700")]
    assert spark.read.parquet(str(tmp_path / f"{RUN}2")).columns == ["id", "version"]


def test_a_run_that_fails_leaves_the_watermark_and_the_next_takes_all_of_it(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, at timestamptz); INSERT INTO t VALUES (1, '2026-11-01 01:30-05')")
    arguments = {"ordinal": "at", "mark": "w"}
    first = to_files("append", **arguments)
    session.run("INSERT INTO t VALUES (2, 'infinity')")
    with pytest.raises(ExtractError, match='column "at" holds a value'):
        to_files("append", **arguments)
    assert session.run("SELECT runs, ordinal FROM pgjobs_watermarks") == [[1, first.watermark_to]]
    session.run("UPDATE t SET at = '2026-11-02 00:00+00' WHERE id = 2")
    assert to_files("append", **arguments).watermark_from == first.watermark_to
    assert ids(spark, tmp_path / "out") == [1, 2]
    assert folders(tmp_path) == ["1", "3"], "what failed has been removed"


def folders(folder: Path) -> list[str]:
    """Of which runs of the watermark w there are folders."""
    return sorted(path.name.partition("=")[2] for path in (folder / RUN).parent.iterdir())


def test_a_run_whose_driver_died_before_the_watermark_moved_is_replaced(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, version int); INSERT INTO t VALUES (1, 1)")
    to_files("append", ordinal="version", mark="w")
    session.run("UPDATE pgjobs_watermarks SET runs = 0, below = '0', begun = '{1}'; INSERT INTO t VALUES (2, 2)")
    to_files("append", ordinal="version", mark="w")
    assert ids(spark, tmp_path / "out") == [1, 2]
    assert folders(tmp_path) == ["2"]


def test_of_two_runs_that_both_think_they_hold_the_watermark_one_is_right_and_the_other_leaves_nothing(
    spark: SparkSession, session: Session, database: Settings, to_files: Target, tmp_path: Path
) -> None:
    """The first one's connection was ended when it had read all, and a second one takes its place."""
    session.run("CREATE TABLE t AS SELECT 1 AS id, 1 AS version")
    second: list[ExtractReport] = []

    def ends(driver: SparkSession) -> SparkSession:
        """Before the first one writes."""
        session.run(
            "SELECT pg_terminate_backend(pid, 9999) FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract t'"
        )
        second.append(to_files("append", ordinal="version", mark="w"))
        return driver

    job = FilesJob(Wanted(T), database, str(tmp_path / "out"), "parquet", "append", {}, "version", "w")
    with pytest.raises((ExtractError, DatabaseError)):
        run(job, lambda: ends(spark))
    assert ids(spark, tmp_path / "out") == [1]
    assert to_files("append", ordinal="version", mark="w").rows == 0
    assert ids(spark, tmp_path / "out") == [1]


def test_the_slower_of_two_runs_removes_its_folder(
    spark: SparkSession, session: Session, database: Settings, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS id, 1 AS version")
    to_files("append", ordinal="version", mark="w")
    [mark] = [watermark.read(session, "w")]
    assert mark is not None
    assert mark.definition is not None
    slow = Turn("w", str(tmp_path / "out"), mark.definition, replace(mark, runs=0), Window(None, 1, 1))
    slow = watermark_runs.begin(session, spark, slow)
    spark.range(9).write.parquet(slow.folder(slow.number))
    with pytest.raises(ExtractError, match="Another run has moved the watermark"):
        watermark_runs.end(session, Connector(database, "extract", "t"), spark, slow, None)
    assert ids(spark, tmp_path / "out") == [1]


def test_two_watermarks_with_one_target_keep_their_files(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    """A column named run keeps its values."""
    session.run("CREATE TABLE t AS SELECT n AS id, n AS version, 100 + n AS run FROM generate_series(1, 4) n")
    to_files("append", ordinal="version", mark="low", filter="id <= 2")
    to_files("append", ordinal="version", mark="odd/ = %", filter="id > 2")
    found = spark.read.parquet(str(tmp_path / "out"))
    rows = sorted((row.id, row.run, row.pgjobs_watermark, row.pgjobs_run) for row in found.collect())
    assert rows == [(1, 101, "low", 1), (2, 102, "low", 1), (3, 103, "odd/ = %", 1), (4, 104, "odd/ = %", 1)]


def test_a_folder_that_is_another_ones_is_not_used(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    """Of a watermark of the same name in another database."""
    session.run("CREATE TABLE t AS SELECT 1 AS id, 1 AS version")
    spark.range(7, 9).selectExpr("CAST(id AS int) AS id").write.parquet(str(tmp_path / f"{RUN}1"))
    to_files("append", ordinal="version", mark="w")
    assert ids(spark, tmp_path / "out") == [1, 7, 8]


def test_a_column_that_the_folders_tell_too_is_refused(session: Session, to_files: Target) -> None:
    session.run('CREATE TABLE t (id int, version int, "Pgjobs_run" int)')
    with pytest.raises(UsageError, match="t has a column Pgjobs_run, and the folders"):
        to_files("append", ordinal="version", mark="w")


def test_a_lake_of_an_older_version_goes_on_in_folders_of_the_same_names(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int, version int); INSERT INTO t VALUES (2, 2)")
    session.run(
        "CREATE TABLE pgjobs_watermarks (watermark_id text PRIMARY KEY, source text NOT NULL, runs bigint NOT NULL, "
        "below xid8 NOT NULL, ordinal text, moved timestamptz NOT NULL DEFAULT now()); "
        "INSERT INTO pgjobs_watermarks SELECT 'w', 't', 1, pg_snapshot_xmin(pg_current_snapshot()), '2'"
    )
    spark.range(2, 3).write.parquet(str(tmp_path / "out/run=1"))
    spark.range(1).write.parquet(str(tmp_path / "out/run=2"))
    session.run("INSERT INTO t VALUES (3, 3)")
    with pytest.raises(UsageError, match="run=2 contains files of a failed run or of another watermark"):
        to_files("append", ordinal="version", mark="w")
    shutil.rmtree(tmp_path / "out/run=2")
    assert to_files("append", ordinal="version", mark="w").rows == 1
    assert ids(spark, tmp_path / "out/run=2") == [3]
    with pytest.raises(UsageError, match="with another filter"):
        to_files("append", ordinal="version", mark="w", filter="true")


def test_another_definition_is_refused_or_taken_whole_on_demand(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    """A table that was swapped in holds rows that are older than the watermark."""
    session.run("CREATE TABLE t_new AS SELECT n AS id, n AS version FROM generate_series(7, 8) n")
    session.run("CREATE TABLE t AS SELECT 1 AS id, 1 AS version")
    arguments = {"ordinal": "version", "mark": "w"}
    to_files("append", **arguments)
    for other, told in (({"filter": "id > 0"}, "with another filter"), ({"columns": ("id",)}, "with other columns")):
        with pytest.raises(UsageError, match=told):
            to_files("append", **arguments, **other)
    session.run("ALTER TABLE t RENAME TO t_old; ALTER TABLE t_new RENAME TO t")
    with pytest.raises(UsageError, match="of t, which was another table"):
        to_files("append", **arguments)
    assert ids(spark, tmp_path / "out") == [1]
    assert to_files("append", **arguments, restart=True).rows == 2
    assert to_files("append", **arguments).rows == 0
    assert ids(spark, tmp_path / "out") == [1, 7, 8]


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(Cut("pgjobs extract t", b"COMMIT", b"pg_export_snapshot"), id="when all was read"),
        pytest.param(Cut("pgjobs extract t", b"SET source"), id="before the watermark moved"),
        pytest.param(Cut("pgjobs extract t", b"SET source", answered=True), id="after the watermark moved"),
    ],
)
def test_a_connection_that_breaks_at_the_end_neither_fails_the_run_nor_moves_the_watermark_twice(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, cut: Cut
) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS id, 7 AS version")
    with cuts_on_the_way_to(database, cut) as way:
        job = FilesJob(Wanted(T), way, str(tmp_path / "out"), "parquet", "append", {}, "version", "w")
        assert run(job, lambda: spark).rows == 1
    assert cut.cut
    assert session.run("SELECT runs, ordinal FROM pgjobs_watermarks") == [[1, "7"]]


@pytest.mark.parametrize(
    ("create", "message"),
    [
        ("CREATE TABLE t (id int)", "version is no column"),
        ("CREATE TABLE t (id int, version text)", "version is a text"),
        ("CREATE TABLE t (id int, version int PRIMARY KEY)", "part of the primary key"),
        ("CREATE VIEW t AS SELECT 1 AS id, 1 AS version", "t is not a table"),
    ],
)
def test_a_column_that_orders_nothing_is_refused(session: Session, to_files: Target, create: str, message: str) -> None:
    session.run(create)
    with pytest.raises(UsageError, match=message):
        to_files("append", ordinal="version", mark="w")


def test_two_runs_of_a_watermark_at_once_take_each_row_once(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t AS SELECT n AS id, n AS version FROM generate_series(1, 500) n")
    reports: list[ExtractReport] = []
    threads = [
        threading.Thread(target=lambda: reports.append(to_files("append", ordinal="version", mark="w")))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(report.rows for report in reports) == [0, 500]
    assert ids(spark, tmp_path / "out") == list(range(1, 501))
