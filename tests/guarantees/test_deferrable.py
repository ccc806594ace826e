"""Constraints that the target checks at the commit, whichever way rows get there: all rows are there, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConstraintViolated, LoadError
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.load.together.dataframes import ReleaseTable, load_release

LATE = "DEFERRABLE INITIALLY DEFERRED"
T = f"CREATE TABLE t (id int CONSTRAINT late PRIMARY KEY {LATE}, word text); INSERT INTO t VALUES (1, 'old')"


@pytest.fixture
def source(spark: SparkSession, tmp_path: Path) -> str:
    """Rows of which one has a key of the table."""
    spark.sql("SELECT CAST(id AS int) AS id, 'new' AS word FROM range(1, 9)").coalesce(1).write.parquet(
        str(tmp_path / "rows")
    )
    return str(tmp_path / "rows")


@pytest.mark.parametrize("publish", ["auto", "staged", "parts"])
def test_a_row_that_violates_one_fails_the_load_in_each_way_and_is_told(
    spark: SparkSession, session: Session, database: Settings, source: str, publish: str
) -> None:
    session.run(T)
    with pytest.raises((ConstraintViolated, LoadError), match="late"):
        load_dataframe(spark.read.parquet(source), table="t", settings=database, load_id="x", publish=publish)
    assert session.run("SELECT * FROM t") == [[1, "old"]]
    session.run("DELETE FROM t")
    report = load_dataframe(spark.read.parquet(source), table="t", settings=database, load_id="x", publish=publish)
    assert report.rows_inserted == 8


def test_a_row_that_violates_one_is_put_aside(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    session.run(T)
    report = load_dataframe(spark.read.parquet(source), table="t", settings=database, on_error="quarantine")
    assert (report.rows_inserted, report.rows_rejected) == (7, 1)
    assert session.run("SELECT count(*) FROM t WHERE word = 'new'") == [[7]]


def test_a_partition_is_replaced_with_its_deferrable_key(
    spark: SparkSession, session: Session, database: Settings, source: str
) -> None:
    session.run(f"CREATE TABLE t (id int CONSTRAINT late PRIMARY KEY {LATE}, word text) PARTITION BY RANGE (id)")
    session.run("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (100); INSERT INTO t VALUES (1, 'old')")
    rows = spark.read.parquet(source)
    report = load_dataframe(rows, table="t", settings=database, mode="replace-partitions")
    assert report.rows_inserted == 8
    late = "SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid IN ('t'::regclass, 't1'::regclass)"
    assert session.run(f"{late} AND condeferrable AND condeferred") == session.run(late) == [[2]]
    with pytest.raises(ConstraintViolated):
        load_dataframe(rows.unionAll(rows), table="t", settings=database, mode="replace-partitions")
    assert session.run("SELECT count(*), count(DISTINCT id) FROM t") == [[8, 8]]


def test_a_release_fails_whole(spark: SparkSession, session: Session, database: Settings, source: str) -> None:
    session.run(f"{T}; CREATE TABLE other (id int, word text)")
    rows = spark.read.parquet(source)
    tables = [ReleaseTable(rows, "other"), ReleaseTable(rows, "t")]
    with pytest.raises(ConstraintViolated, match="late"):
        load_release(tables, settings=database, load_id="x")
    assert session.run("SELECT (SELECT count(*) FROM other), (SELECT count(*) FROM t)") == [[0, 1]]
    session.run("DELETE FROM t")
    load_release(tables, settings=database, load_id="x")
    assert session.run("SELECT (SELECT count(*) FROM other), (SELECT count(*) FROM t)") == [[8, 8]]
