"""An extract as a DataFrame: one snapshot whatever writers do, of all kinds of relations and queries."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from extracts import extracted
from pyspark.sql import SparkSession
from submitted import until

from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.snapshot import adopted
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract import dataframe
from jobs.flows.extract.dataframe import extract_dataframe, extracting
from jobs.flows.extract.plan import Wanted

DECODERS = pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "spark"])


T = TableName("t")


@contextmanager
def writing(database: Settings, writers: int = 4) -> Iterator[list[int]]:
    """Insert, update and delete, with rests that leave a core to Spark; gives how many times each has done so."""
    done, stop = [0] * writers, threading.Event()

    def write(number: int) -> None:
        with connect(database, f"writer {number}") as session:
            while not stop.wait(0.05):
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
        connector = Connector(database, "extract", "t")
        with extracting(spark, holder, connector, Wanted(T, parallelism=8), arrow) as extraction:
            assert len(extraction.plan.parts) == 8
            after_the_snapshot = sum(done) + len(done)  # of each, one may have been under way
            until(lambda: sum(done) > after_the_snapshot, "more writes")
            found = extraction.df.selectExpr("count(*)", SPARKS_SUM).collect()
            asked = f"SELECT count(*), {SERVERS_SUM} FROM t"
            with adopted(witness, extraction.snapshot):
                expected = witness.run(asked)
            assert session.run(asked) != expected, "the table is as it was"
    assert [list(row) for row in found] == expected


def test_an_action_that_is_repeated_sees_the_same_snapshot(
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
    dataframe.held.close()  # what a process does at its end


def test_a_dataframe_that_cannot_be_made_leaves_no_connection(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    with pytest.raises(UsageError, match="There is no table nosuch"):
        extract_dataframe(spark, table="nosuch", settings=database)
    held = "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^pgjobs extract' AND datname = %s"
    until(lambda: session.run(held, database.dbname) == [[0]], "the end of its connections")


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


def test_the_keys_columns_come_along_and_names_may_hold_anything(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run(TABLE)
    for arrow in (True, False):
        wanted = Wanted(T, columns=("a.b`c",), require_primary_key=True)
        with extracted(spark, database, wanted, arrow) as df:
            assert [row.asDict() for row in df.collect()] == [{"id": 1, "a.b`c": "y"}]
