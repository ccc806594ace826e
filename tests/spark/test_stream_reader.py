"""Streams from a table: nothing is lost or there twice, whatever is restarted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pgcopies import options_for, until
from pyspark.sql import SparkSession
from streams import ids, into_copy, run_to_the_end, source

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.ledger import LUIGIS
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")


@pytest.fixture
def options(database: Settings, tmp_path: Path) -> dict[str, str]:
    return options_for(database, tmp_path)


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
    with pytest.raises(Exception, match="events is not the table that the stream began with"):
        run_to_the_end(source(spark, options), options, checkpoint)


def test_a_checkpoint_that_is_ahead_of_the_server_is_refused_with_the_way_on(
    spark: SparkSession, session: Session, options: dict[str, str], tmp_path: Path
) -> None:
    """The database was restored from a backup."""
    session.run("CREATE TABLE events (id int PRIMARY KEY); INSERT INTO events VALUES (1)")
    run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")
    offsets = tmp_path / "checkpoint" / "offsets"
    (offsets / "0").write_text(re.sub(r'"below": ?[0-9]+', '"below": 1000000000000', (offsets / "0").read_text()))
    (offsets / ".0.crc").unlink()
    told = r"(?s)ends at transaction 1,000,000,000,000.* restored elsewhere.*Begin a new stream with a new checkpoint"
    with pytest.raises(Exception, match=told):
        run_to_the_end(source(spark, options), options, tmp_path / "checkpoint")


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
    with pytest.raises(Exception, match="The new rows of a query cannot be determined"):
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
        assert until(lambda: LUIGIS.recorded_target(session, "copying/2") is not None)
    finally:
        query.stop()
    sizes = [progress.numInputRows for progress in query.recentProgress if progress.numInputRows]
    assert sizes[:2] == [16, 16]
    assert ids(session) == list(range(40))
