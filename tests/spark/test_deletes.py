"""Incremental extracts with deletes: folding the runs gives the table, whatever was deleted or left the filter."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from extracts import Target
from pyspark.sql import Row, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.job import FilesJob, run
from jobs.flows.extract.plan import Wanted

ARGUMENTS = {"mark": "w", "deletes": True}
RUN = "out/pgjobs_watermark=w/pgjobs_run="


def told(spark: SparkSession, folder: Path) -> list[tuple[object, ...]]:
    """What one run tells, in order."""
    return sorted((tuple(row) for row in spark.read.parquet(str(folder)).collect()), key=repr)


def folded(spark: SparkSession, folder: Path) -> list[tuple[object, ...]]:
    """The rows of all runs' U and D, as the docs fold them."""
    spark.read.parquet(str(folder)).createOrReplaceTempView("orders")
    query = (Path(__file__).parents[2] / "docs" / "extract.md").read_text().split("```sql\n")[1].split("```")[0]
    rows: list[Row] = spark.sql(query).drop("_op", "pgjobs_watermark", "pgjobs_run", "newest").collect()
    return sorted(tuple(row) for row in rows)


def test_deletes_moved_keys_and_rows_that_leave_the_filter_are_told_once(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, 'a' FROM generate_series(1, 6) n")
    arguments = {**ARGUMENTS, "columns": ("x",), "filter": "x <> 'hidden'"}
    first = to_files("append", **arguments)
    session.run("DELETE FROM t WHERE id = 1; UPDATE t SET id = 20 WHERE id = 2; UPDATE t SET x = 'hidden' WHERE id = 3")
    session.run("DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (4, 'again')")
    second = to_files("append", **arguments)
    third = to_files("append", **arguments)
    assert [(report.rows, report.deletes) for report in (first, second, third)] == [(6, 0), (2, 3), (0, 0)]
    assert told(spark, tmp_path / f"{RUN}2") == [
        ("D", 1, None),
        ("D", 2, None),
        ("D", 3, None),
        ("U", 20, "a"),
        ("U", 4, "again"),
    ]
    assert folded(spark, tmp_path / "out") == [(4, "again"), (5, "a"), (6, "a"), (20, "a")]
    keys = sorted(str(path.relative_to(tmp_path / "out")) for path in tmp_path.rglob("_pgjobs_keys"))
    assert keys == ["pgjobs_watermark=w/pgjobs_run=3/_pgjobs_keys"]


def test_transactions_that_overlap_runs_lose_no_delete(
    spark: SparkSession, session: Session, database: Settings, to_files: Target, tmp_path: Path
) -> None:
    """Rows that a snapshot sees and the window leaves to the next run are deleted before that."""
    session.run("CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1, 'a'), (2, 'a'), (3, 'a')")
    to_files("append", **ARGUMENTS)
    with connect(database, "slow") as slow:
        slow.run("BEGIN; DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (10, 'slow')")
        session.run("UPDATE t SET x = 'b' WHERE id = 2; INSERT INTO t VALUES (11, 'quick')")
        to_files("append", **ARGUMENTS)
        session.run("DELETE FROM t WHERE id IN (2, 11)")
        to_files("append", **ARGUMENTS)
        slow.run("COMMIT")
    to_files("append", **ARGUMENTS)
    assert folded(spark, tmp_path / "out") == [(3, "a"), (10, "slow")]
    assert [row for row in told(spark, tmp_path / f"{RUN}4") if row[0] == "D"] == [("D", 1, None)]


def test_a_run_that_fails_leaves_its_deletes_to_the_next(session: Session, to_files: Target, tmp_path: Path) -> None:
    session.run(
        "CREATE TABLE t (id int PRIMARY KEY, d date); INSERT INTO t VALUES (1, '2026-11-21'), (2, '2026-11-21')"
    )
    to_files("append", **ARGUMENTS)
    session.run("DELETE FROM t WHERE id = 1; INSERT INTO t VALUES (3, 'infinity')")
    with pytest.raises(JobError, match='column "d" holds'):
        to_files("append", **ARGUMENTS)
    assert (tmp_path / f"{RUN}2/_pgjobs_keys").exists()
    session.run("UPDATE t SET d = '2026-11-22' WHERE id = 3")
    report = to_files("append", **ARGUMENTS)
    assert (report.rows, report.deletes, report.target) == (1, 1, str(tmp_path / f"{RUN}3"))
    assert not (tmp_path / f"{RUN}2").exists()


def test_keys_of_any_type_and_name_are_compared(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run(
        'CREATE TABLE t ("a.b" numeric, "K `1`" bytea, at timestamptz, f float8, x int, '
        'PRIMARY KEY ("a.b", "K `1`", at, f)) PARTITION BY RANGE ("a.b")'
    )
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100)")
    session.run("CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (100) TO ('NaN')")
    session.run(r"INSERT INTO t SELECT n * 50, '\x00ff', '2026-11-01 01:30-05', 'NaN', n FROM generate_series(0, 4) n")
    to_files("append", **ARGUMENTS)
    session.run("DELETE FROM t WHERE x = 1; ALTER TABLE t DETACH PARTITION t2")
    assert to_files("append", **ARGUMENTS).deletes == 4
    gone = [row[1] for row in told(spark, tmp_path / f"{RUN}2")]
    assert sorted(map(str, gone)) == ["100", "150", "200", "50"]


def test_the_last_run_emptied_the_table(
    spark: SparkSession, session: Session, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)")
    to_files("append", **ARGUMENTS)
    session.run("TRUNCATE t")
    assert to_files("append", **ARGUMENTS).deletes == 1
    assert to_files("append", **ARGUMENTS).deletes == 0
    session.run("INSERT INTO t VALUES (1)")
    assert to_files("append", **ARGUMENTS).rows == 1
    assert folded(spark, tmp_path / "out") == [(1,)]


def test_what_would_lose_deletes_is_refused(
    spark: SparkSession, session: Session, database: Settings, to_files: Target, tmp_path: Path
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t VALUES (1)")
    to_files("append", **ARGUMENTS)
    with pytest.raises(UsageError, match="of runs with --deletes"):
        to_files("append", mark="w")
    job = FilesJob(Wanted(TableName("t")), database, str(tmp_path / "other"), "parquet", "append", watermark_id="w")
    with pytest.raises(UsageError, match="The keys of the last run are not in"):
        run(replace(job, deletes=True), lambda: spark)
    session.run("ALTER TABLE t ALTER id TYPE bigint")
    with pytest.raises(UsageError, match="The key had id int in the last run, and has id bigint now"):
        to_files("append", **ARGUMENTS)
    to_files("append", restart=True, **ARGUMENTS)
    session.run("ALTER TABLE t RENAME x TO _op")
    with pytest.raises(UsageError, match="has a column _op"):
        to_files("append", **ARGUMENTS)
    to_files("append", restart=True, mark="w")
    assert not list(tmp_path.glob("out/*/*/_pgjobs_keys"))
    shutil.rmtree(tmp_path / "out")


def test_the_flag_tells_deletes_in_csv_too(
    session: Session, database: Settings, tmp_path: Path, spark: SparkSession
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2)")
    job = FilesJob(
        Wanted(TableName("t")), database, str(tmp_path / "out"), "csv", "append", watermark_id="w", deletes=True
    )
    run(job, lambda: spark)
    session.run("DELETE FROM t WHERE id = 1")
    report = run(job, lambda: spark)
    text = "".join(path.read_text() for path in Path(report.target).glob("part-*"))
    assert text == "D,1\n"
    assert "extracted 0 rows and 1 delete of t" in report.summary()
