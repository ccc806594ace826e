"""The extract as a function: one moment whatever writers do, all kinds of sources, files, watermarks."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from extracts import extracted
from faults import Cut, cuts_on_the_way_to
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import DatabaseError, ExtractError, UsageError
from jobs.dbaccess.extract import watermark
from jobs.dbaccess.extract.snapshot import adopted
from jobs.dbaccess.extract.watermark import Window
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract import dataframe, watermark_runs
from jobs.flows.extract.dataframe import extract_dataframe, extracting
from jobs.flows.extract.job import ExtractReport, FilesJob, run
from jobs.flows.extract.plan import Wanted, find_source, settle_source
from jobs.flows.extract.watermark_runs import Turn

DECODERS = pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "spark"])
T = TableName("t")

Target = Callable[..., ExtractReport]


@contextmanager
def writing(database: Settings, writers: int = 4) -> Iterator[list[int]]:
    """Insert, update and delete as fast as can be; gives how many statements each has done."""
    done, stop = [0] * writers, threading.Event()

    def write(number: int) -> None:
        with connect(database, f"writer {number}") as session:
            while not stop.is_set():
                session.run(
                    f"INSERT INTO t SELECT n, 'new' FROM generate_series(1, 9) n; "
                    f"UPDATE t SET name = name || '.' WHERE id % 97 = {done[number] % 97} AND id % 4 = {number}; "
                    f"DELETE FROM t WHERE id % 89 = {done[number] % 89} AND id % 4 = {number}"
                )
                done[number] += 1

    threads = [threading.Thread(target=write, args=(number,)) for number in range(writers)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# Of a row's text the first 32 bits of its MD5, added up: as Spark and as PostgreSQL say that.
SPARKS_SUM = "sum(CAST(conv(substr(md5(concat(id, ' ', name)), 1, 8), 16, 10) AS bigint))"
SERVERS_SUM = "sum(('x' || substr(md5(concat(id, ' ', name)), 1, 8))::bit(32)::bigint)::bigint"


@DECODERS
def test_an_extract_in_8_parts_is_the_table_as_of_its_snapshot_while_four_write(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run("CREATE TABLE t AS SELECT n AS id, 'row ' || n AS name FROM generate_series(1, 20000) n")
    with writing(database) as done, connect(database, "holder") as holder, connect(database, "witness") as witness:
        until(lambda: min(done), "the writers")
        with extracting(spark, holder, database, Wanted(T, parallelism=8), arrow) as extraction:
            assert len(extraction.source.parts) == 8
            before = sum(done)
            found = extraction.df.selectExpr("count(*)", SPARKS_SUM).collect()
            assert sum(done) > before, "nobody wrote"
            asked = f"SELECT count(*), {SERVERS_SUM} FROM t"
            with adopted(witness, extraction.moment):
                expected = witness.run(asked)
            assert session.run(asked) != expected, "the table is as it was"
    assert [list(row) for row in found] == expected


def test_an_action_that_is_repeated_sees_the_same_moment(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS a")
    with extracted(spark, database, "t") as df:
        assert df.count() == 1
        session.run("INSERT INTO t VALUES (2)")
        assert df.count() == 1


def test_a_dataframe_is_read_while_its_process_lives(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t AS SELECT n AS id, n % 2 = 0 AS even FROM generate_series(1, 10) n")
    df = extract_dataframe(spark, table="t", settings=database, columns=["id"], filter="even", parallelism=3)
    query = extract_dataframe(spark, query="SELECT id FROM t", settings=database, split_by="id", parallelism=3)
    assert [row.id for row in df.sort("id").collect()] == [2, 4, 6, 8, 10]
    assert sorted(row.id for row in query.collect()) == list(range(1, 11))
    dataframe._held.close()  # noqa: SLF001 - what a process does at its end


def test_a_dataframe_that_cannot_be_made_leaves_no_connection(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    with pytest.raises(UsageError, match="There is no table nosuch"):
        extract_dataframe(spark, table="nosuch", settings=database)
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract' AND datname = %s"
    assert session.run(held, database.dbname) == [[0]]


SOURCES = {
    "view": "CREATE VIEW t AS SELECT n AS id FROM generate_series(1, 9) n",
    "materialised view": "CREATE MATERIALIZED VIEW t AS SELECT n AS id FROM generate_series(1, 9) n",
    "partitioned": "CREATE TABLE t (id int) PARTITION BY RANGE (id); "
    "CREATE TABLE low PARTITION OF t FOR VALUES FROM (1) TO (5); CREATE TABLE high PARTITION OF t DEFAULT; "
    "INSERT INTO t SELECT generate_series(1, 9)",
}


@pytest.mark.parametrize("create", SOURCES.values(), ids=SOURCES)
def test_every_kind_of_relation_is_read_whole_and_by_key(
    spark: SparkSession, session: Session, database: Settings, create: str
) -> None:
    session.run(create)
    for split_by in ("", "id"):
        with extracted(spark, database, Wanted(T, split_by=split_by, parallelism=3)) as df:
            assert sorted(row.id for row in df.collect()) == list(range(1, 10))


@DECODERS
def test_an_empty_table_has_its_columns(spark: SparkSession, session: Session, database: Settings, arrow: bool) -> None:
    session.run("CREATE TABLE t (a int, b text)")
    with extracted(spark, database, "t", arrow) as df:
        assert df.schema.simpleString() == "struct<a:int,b:string>"
        assert df.collect() == []


def test_a_query_ends_in_a_comment_or_a_semicolon_as_it_likes(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    query = "SELECT n % 3 AS k, 'a;b' AS x FROM generate_series(1, 9) n; -- 100 %"
    with pytest.raises(UsageError, match="one SELECT"), extracted(spark, database, Wanted(query=query)):
        pass
    query = "SELECT n % 3 AS k, 'a;b' AS x FROM generate_series(1, 9) n -- 100 %"
    with extracted(spark, database, Wanted(query=query, split_by="k", parallelism=4)) as df:
        assert sorted(row.k for row in df.collect()) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert session.run("SELECT 1") == [[1]]


def test_what_is_read_as_one_part_is_told(
    spark: SparkSession, database: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with extracted(spark, database, Wanted(query="SELECT 1 AS a", parallelism=4)) as df:
        assert df.count() == 1
    assert "Reading the query as one part" in caplog.text


TABLE = "CREATE TABLE t (id int PRIMARY KEY, \"a.b`c\" text, x int); INSERT INTO t VALUES (1, 'y', 2)"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (Wanted(), "one table or one query"),
        (Wanted(TableName("nosuch")), "There is no table nosuch"),
        (Wanted(T, columns=("id", "nosuch")), "t has no column nosuch: it has id, a.b`c, x"),
        (Wanted(T, split_by="nosuch"), "t has no column nosuch"),
        (Wanted(T, text_columns=("nosuch",)), "t has no column nosuch"),
        (Wanted(T, filter="id"), "not one boolean expression"),
        (Wanted(TableName("keyless"), require_primary_key=True), "keyless has no primary key"),
        (Wanted(TableName("bare")), "bare has no columns"),
        (Wanted(TableName("documents"), split_by="j"), "cannot be cut by j"),
        (Wanted(query="SELECT 1", require_primary_key=True), "A query has no primary key"),
        (Wanted(query="SELECT 1 AS a, 2 AS a"), "more than one column a"),
        (Wanted(query="SELECT nosuch"), "The query cannot be read from"),
    ],
)
def test_what_cannot_be_right_is_refused_before_anything_is_read(
    session: Session, wanted: Wanted, message: str
) -> None:
    session.run(TABLE)
    session.run("CREATE TABLE keyless (a int); CREATE TABLE bare (); CREATE TABLE documents (j json)")
    with pytest.raises(UsageError, match=message):
        settle_source(session, wanted, find_source(session, wanted))


def test_the_keys_columns_come_along_and_names_may_hold_anything(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(TABLE)
    for arrow in (True, False):
        wanted = Wanted(T, columns=("a.b`c",), require_primary_key=True)
        with extracted(spark, database, wanted, arrow) as df:
            assert [row.asDict() for row in df.collect()] == [{"id": 1, "a.b`c": "y"}]


@pytest.fixture
def to_files(spark: SparkSession, database: Settings, tmp_path: Path) -> Target:
    """Extract the table t into a folder, `out`."""

    def extract_files(mode: str = "error", ordinal: str = "", mark: str = "", **wanted: Any) -> ExtractReport:  # noqa: ANN401 - as Wanted
        target, restart = str(tmp_path / "out"), wanted.pop("restart", False)
        job = FilesJob(Wanted(T, **wanted), database, target, "parquet", mode, {}, ordinal, mark, restart)
        return run(job, lambda: spark)

    return extract_files


RUN = "out/pgjobs_watermark=w/pgjobs_run="
"""What the folders of the watermark w begin with."""


def ids(spark: SparkSession, folder: Path) -> list[int]:
    return sorted(row.id for row in spark.read.parquet(str(folder)).collect())


def test_files_are_refused_added_or_replaced_as_the_mode_says(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS id")
    report = to_files()
    assert (report.rows, report.parts, report.bytes, report.source) == (1, 1, 2, "t")
    assert list(report.seconds) == ["prepare", "read", "total"]
    with pytest.raises(Exception, match="already exists"):
        to_files()
    session.run("UPDATE t SET id = 2")
    to_files("append")
    assert ids(spark, tmp_path / "out") == [1, 2]
    to_files("overwrite")
    assert ids(spark, tmp_path / "out") == [2]


def test_an_overwrite_that_fails_keeps_the_old_files(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t AS SELECT 1 AS id, date '2026-11-20' AS d")
    to_files()
    session.run(
        "INSERT INTO t SELECT n, '2026-11-20' FROM generate_series(2, 99999) n; INSERT INTO t VALUES (0, 'infinity')"
    )
    with pytest.raises(ExtractError, match='column "d" holds a value'):
        to_files("overwrite", parallelism=4)
    assert ids(spark, tmp_path / "out") == [1]


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
            "SELECT pg_terminate_backend(pid, 9999) FROM pg_stat_activity WHERE application_name ~ 'extract_table'"
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
        watermark_runs.end(session, database, spark, slow, None)
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
    with pytest.raises(UsageError, match="t has a column Pgjobs_run, which the folders"):
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
    with pytest.raises(UsageError, match="run=2 holds files of a run that died, or of another watermark"):
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
        pytest.param(Cut("pgjobs extract_table", b"COMMIT", b"pg_export_snapshot"), id="when all was read"),
        pytest.param(Cut("pgjobs extract_table", b"SET source"), id="before the watermark moved"),
        pytest.param(Cut("pgjobs extract_table", b"SET source", answered=True), id="after the watermark moved"),
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
        ("CREATE VIEW t AS SELECT 1 AS id, 1 AS version", "t is no table"),
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


def test_a_snapshot_that_is_lost_in_mid_extract_fails_it_and_no_file_is_kept(
    session: Session, to_files: Target, tmp_path: Path
) -> None:
    """The first parts were read before; the last ones cannot be."""
    session.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 300) AS x FROM generate_series(1, 60000) n")
    watching = threading.Thread(target=end_the_drivers_connection, args=(session,))
    watching.start()
    with pytest.raises((ExtractError, DatabaseError), match="snapshot that all parts are read in is lost"):
        to_files(parallelism=8)
    watching.join()
    assert list((tmp_path / "out").rglob("*.parquet")) == []


def end_the_drivers_connection(session: Session) -> None:
    reading = "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract t part'"
    until(lambda: session.run(reading), "a part")
    session.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract_table'"
    )
