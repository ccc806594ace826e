"""Streams into a table: nothing is lost or there twice, whatever is restarted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pgcopies import options_for, sidecars, until
from pyspark.sql import SparkSession
from streams import HAS_SINK, ids, run_to_the_end, source

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.session import Session

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")


@pytest.fixture
def options(database: Settings, tmp_path: Path) -> dict[str, str]:
    return options_for(database, tmp_path)


def test_a_batch_that_comes_again_is_written_once(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    """The driver died between its commit in the database and its note of it in the checkpoint."""
    session.run("CREATE TABLE events (id int); INSERT INTO events SELECT generate_series(1, 10)")
    checkpoint = tmp_path / "checkpoint"
    run_to_the_end(source(spark, options), options, checkpoint)
    assert LUIGIS.recorded_target(session, "copying/0") == "public.copy"
    shutil.rmtree(checkpoint / "commits")
    run_to_the_end(source(spark, options), options, checkpoint)
    assert ids(session) == list(range(1, 11))
    left = session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'")
    assert left == []
    assert until(lambda: sidecars(session) == 0)


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_stream_whose_checkpoint_was_lost_discards_no_batch_for_an_earlier_one_of_its_number(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int)")
    for number in (1, 2):
        session.run("INSERT INTO events VALUES (%s)", number)
        run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    session.run("INSERT INTO events VALUES (3)")
    with pytest.raises(
        Exception, match=r"batch 0 of the stream 'copying'.*batch 1 has been published.*another streamId"
    ):
        run_to_the_end(source(spark, options), options, tmp_path / "another")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    assert ids(session) == [1, 2, 3]
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'") == []


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_checkpoint_that_was_lost_after_a_single_batch_is_told(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int); INSERT INTO events VALUES (1)")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    session.run("INSERT INTO events VALUES (2)")
    for _ in range(2):
        with pytest.raises(Exception, match=r"Batch 0 of the stream 'copying' .*another checkpoint.*another streamId"):
            run_to_the_end(source(spark, options), options, tmp_path / "another")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    assert ids(session) == [1, 2]
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'") == []


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_new_checkpoint_goes_on_where_no_batch_was_published_or_its_marker_was_removed(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int); INSERT INTO events VALUES (1)")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    LUIGIS.forget(session, "copying/0")
    session.run("INSERT INTO events VALUES (2)")
    run_to_the_end(source(spark, options), options, tmp_path / "another")
    assert ids(session) == [1, 1, 2]


def test_a_stream_that_was_aborted_leaves_nothing_when_it_goes_on(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int); INSERT INTO events SELECT generate_series(1, 10)")
    broken = source(spark, options).selectExpr("IF(id = 7, raise_error('broken input'), id) AS id")
    with pytest.raises(Exception, match="broken input"):
        run_to_the_end(broken, options, tmp_path / "checkpoint")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    assert ids(session) == list(range(1, 11))
    assert session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'") == []
    assert until(lambda: sidecars(session) == 0)


@pytest.mark.skipif(HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_on_an_older_spark_a_stream_into_a_table_is_refused_with_the_way_on(
    spark: SparkSession, options: dict[str, str], tmp_path: Path
) -> None:
    writer = spark.readStream.format("rate").load().writeStream.format("pgcopy").options(**options, table="t")
    with pytest.raises(
        Exception, match=r"needs Spark 4\.1.*Write each batch with foreachBatch, and a loadId that has its number"
    ):
        writer.option("checkpointLocation", str(tmp_path / "c")).start().processAllAvailable()


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_stream_into_a_table_wants_a_name(spark: SparkSession, options: dict[str, str], tmp_path: Path) -> None:
    df = spark.readStream.format("rate").load()
    writer = df.writeStream.format("pgcopy").options(**options, table="t")
    with pytest.raises(Exception, match="Give the option streamId"):
        writer.option("checkpointLocation", str(tmp_path / "c")).start().processAllAvailable()
