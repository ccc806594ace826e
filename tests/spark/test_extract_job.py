"""An extract to files: they are refused, added or replaced as the mode says; one that fails leaves none."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from extracts import Target, ids
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.errors import DatabaseError, ExtractError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

T = TableName("t")


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


@pytest.mark.parametrize("mode", ["append", "overwrite"])
def test_what_a_killed_driver_left_of_its_tasks_is_never_committed(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path, mode: str
) -> None:
    """Its finished tasks wait in _temporary/0 for a commit. Another job that writes there as number 0 commits them."""
    session.run("CREATE TABLE t AS SELECT 1 AS id")
    dead = tmp_path / "out" / "_temporary" / "0" / "task_202611211700000000000000000000000_0001_m_000000"
    spark.range(7, 8).coalesce(1).write.parquet(str(dead))
    to_files(mode)
    assert ids(spark, tmp_path / "out") == [1]
    assert not (tmp_path / "out" / "_temporary").exists()


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


def test_a_snapshot_that_is_lost_in_mid_extract_fails_it_and_no_file_is_kept(
    session: Session, to_files: Target, tmp_path: Path
) -> None:
    """The first parts were read before; the last ones cannot be. Those between wait, for Spark has two cores here."""
    session.run("CREATE TABLE t AS SELECT n AS id, repeat('x', 300) AS x FROM generate_series(1, 8000) n")
    session.run("SELECT pg_advisory_lock(16)")
    watching = threading.Thread(target=end_the_drivers_connection, args=(session,))
    watching.start()
    with pytest.raises((ExtractError, DatabaseError), match="snapshot of all parts is lost"):
        to_files(parallelism=8, filter="id <= 2500 OR pg_advisory_xact_lock_shared(16) IS NOT NULL")
    watching.join()
    assert list((tmp_path / "out").rglob("*.parquet")) == []


def end_the_drivers_connection(session: Session) -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract part . of t' AND wait_event = "
    until(lambda: session.run(f"{waiting} 'advisory'"), "a part")
    session.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract t'")
    session.run("SELECT pg_advisory_unlock(16)")
