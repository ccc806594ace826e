"""Streams from a table and into one: nothing is lost or there twice, whatever is restarted."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from pgcopies import keepers, options_for, until
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.readwriter import DataStreamWriter

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.extract import snapshot, watermark
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.load import ledger, staging
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

datasource = pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")
HAS_SINK = hasattr(datasource, "DataSourceStreamArrowWriter")
"""Whether a stream can be written by pgcopy itself: from Spark 4.1 on."""


@pytest.fixture
def options(database: Settings, tmp_path: Path) -> dict[str, str]:
    return options_for(database, tmp_path)


def into_copy(df: DataFrame, options: dict[str, str], **more: str) -> DataStreamWriter:
    """A writer into the table `copy`; on Spark 4.0 the one that docs/pgcopy.md tells of."""
    if HAS_SINK:
        return df.writeStream.format("pgcopy").options(**options, table="copy", streamId="copying", **more)

    def write(batch: DataFrame, number: int) -> None:
        into = batch.write.format("pgcopy").options(**options, table="copy", loadId=f"copying/{number}", **more)
        into.mode("append").save()

    return df.writeStream.foreachBatch(write)


def run_to_the_end(df: DataFrame, options: dict[str, str], checkpoint: Path, **more: str) -> list[dict[str, Any]]:
    """Stream into the table `copy` until all that is there now has been taken; what each batch told."""
    writer = into_copy(df, options, **more).option("checkpointLocation", str(checkpoint))
    query = writer.trigger(availableNow=True).start()
    query.awaitTermination()
    return [json.loads(progress.json) for progress in query.recentProgress]


def source(spark: SparkSession, options: dict[str, str], **more: str) -> DataFrame:
    return spark.readStream.format("pgcopy").options(**options, table="events", **more).load()


def ids(session: Session) -> list[int]:
    return [number for [number] in session.run("SELECT id FROM copy ORDER BY id")]


def test_a_stream_goes_on_after_a_restart_with_nothing_lost_or_twice(
    spark: SparkSession, session: Session, database: Settings, options: dict[str, str], tmp_path: Path
) -> None:
    """A transaction that began before the first run, and commits after it, is in the second."""
    session.run("CREATE TABLE events (id int PRIMARY KEY, at timestamptz DEFAULT now())")
    session.run("INSERT INTO events SELECT generate_series(1, 100)")
    with connect(database, "late") as late, late.transaction():
        late.run("INSERT INTO events VALUES (0)")
        session.run("INSERT INTO events VALUES (101)")
        run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
        assert ids(session) == list(range(1, 101))
    session.run("INSERT INTO events VALUES (102)")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    assert ids(session) == list(range(103))


def test_a_partition_that_is_attached_comes_whole_and_a_table_that_is_swapped_in_is_refused(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    """Also after a restart from a checkpoint of an older version, whose offsets do not know the table."""
    session.run("CREATE TABLE events (id int) PARTITION BY RANGE (id); CREATE TABLE new_events (LIKE events)")
    session.run("CREATE TABLE low PARTITION OF events FOR VALUES FROM (0) TO (10); INSERT INTO events VALUES (1)")
    session.run("CREATE TABLE high (id int); INSERT INTO high VALUES (11), (12)")
    checkpoint = tmp_path / "checkpoint"
    run_to_the_end(source(spark, options), options, checkpoint)
    session.run("ALTER TABLE events ATTACH PARTITION high FOR VALUES FROM (10) TO (20)")
    for offsets in (checkpoint / "offsets").glob("0"):
        text = offsets.read_text()
        assert '"table"' in text
        offsets.write_text(re.sub(r', ?"table": ?[0-9]+', "", text))
        (checkpoint / "offsets" / ".0.crc").unlink()
    run_to_the_end(source(spark, options), options, checkpoint)
    assert ids(session) == [1, 11, 12]
    session.run("ALTER TABLE events RENAME TO old_events; ALTER TABLE new_events RENAME TO events")
    with pytest.raises(Exception, match="events is another table than the stream began with"):
        run_to_the_end(source(spark, options), options, checkpoint)


def test_a_batch_that_comes_again_is_written_once(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    """The driver died between its commit in the database and its note of it in the checkpoint."""
    session.run("CREATE TABLE events (id int); INSERT INTO events SELECT generate_series(1, 10)")
    checkpoint = tmp_path / "checkpoint"
    run_to_the_end(source(spark, options), options, checkpoint)
    assert ledger.recorded_target(session, "copying/0") == "public.copy"
    shutil.rmtree(checkpoint / "commits")
    run_to_the_end(source(spark, options), options, checkpoint)
    assert ids(session) == list(range(1, 11))
    left = session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_'")
    assert left == []
    assert until(lambda: keepers(session) == 0)


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
    assert until(lambda: keepers(session) == 0)


@pytest.mark.skipif(HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_on_an_older_spark_a_stream_into_a_table_is_refused_with_the_way_on(
    spark: SparkSession, options: dict[str, str], tmp_path: Path
) -> None:
    writer = spark.readStream.format("rate").load().writeStream.format("pgcopy").options(**options, table="t")
    with pytest.raises(
        Exception, match=r"needs Spark 4\.1.*Write each batch by foreachBatch, with a loadId of its number"
    ):
        writer.option("checkpointLocation", str(tmp_path / "c")).start().processAllAvailable()


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_stream_into_a_table_wants_a_name(spark: SparkSession, options: dict[str, str], tmp_path: Path) -> None:
    df = spark.readStream.format("rate").load()
    writer = df.writeStream.format("pgcopy").options(**options, table="t")
    with pytest.raises(Exception, match="Give the option streamId"):
        writer.option("checkpointLocation", str(tmp_path / "c")).start().processAllAvailable()


def test_the_ordinal_column_comes_along_with_those_that_are_wanted(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run("CREATE TABLE events (id int PRIMARY KEY, a text, b text, version int)")
    assert source(spark, options, columns="a", ordinalColumn="version").columns == ["a", "version"]


def test_a_column_of_the_key_is_no_ordinal(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int PRIMARY KEY)")
    with pytest.raises(Exception, match="The ordinal column id is part of the primary key"):
        run_to_the_end(source(spark, options, ordinalColumn="id"), options, tmp_path / "checkpoint")


def test_a_query_cannot_be_streamed(spark: SparkSession, options: dict[str, str], tmp_path: Path) -> None:
    df = spark.readStream.format("pgcopy").options(**options, query="SELECT 1 AS id").load()
    with pytest.raises(Exception, match="Which rows of a query are new cannot be told"):
        run_to_the_end(df, options, tmp_path / "checkpoint")


def test_max_rows_end_a_batch_at_the_end_of_a_transaction(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    session.run("CREATE TABLE events (id int)")
    for first in range(0, 40, 8):
        session.run("INSERT INTO events SELECT generate_series(%s::int, %s::int)", first, first + 7)
    df = source(spark, options, maxRowsPerBatch="10")
    query = into_copy(df, options).option("checkpointLocation", str(tmp_path / "checkpoint")).start()
    try:
        assert until(lambda: ledger.recorded_target(session, "copying/2") is not None)
    finally:
        query.stop()
    sizes = [progress.numInputRows for progress in query.recentProgress if progress.numInputRows]
    assert sizes[:2] == [16, 16]
    assert ids(session) == list(range(40))


def test_windows_end_between_transactions_and_cover_each_row_once(session: Session, database: Settings) -> None:
    session.run("CREATE TABLE events (id int)")
    for first in range(0, 12, 4):
        session.run("INSERT INTO events SELECT generate_series(%s::int, %s::int)", first, first + 3)
    table = Selection.of_table(TableName("events"))
    taken: list[list[int]] = []
    last = 0
    for _ in range(2):
        with connect(database, "reader") as reader:
            window = watermark.window(snapshot.export(reader, "SELECT 1").seen, last)
            below = watermark.reached(reader, table.where(window.condition), window, most=5)
            assert below is not None
            part = watermark.Window(window.start, below, window.after)
            taken.append([number for [number] in reader.run(table.where(part.condition).select(["id"]))])
            last = below
    assert taken == [list(range(8)), list(range(8, 12))]


def test_a_streams_leftovers_are_told_from_others(session: Session) -> None:
    session.run("CREATE TABLE t (a int)")
    target = TableName("t", "public")
    ours, theirs = (staging.plan_staging(target, ["a"], stream) for stream in ("ours", "theirs"))
    for names in (ours, theirs):
        staging.create_beside(session, names, target)
    assert [left.parts for left in staging.left_by_stream(session, target, "ours")] == [ours.parts]
