"""Loads that a rerun completes: what was copied before a failure or a kill is not copied again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jvm
import pytest
import resumable_loads
from libpq import environment
from pyspark.sql import DataFrame, SparkSession
from resumable_loads import EACH, FILES, LOADS
from spark_settings import spark_settings
from submitted import Submitted, until

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, TransientError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport

PARTS = 3


@pytest.fixture(autouse=True)
def a_part_for_each_file(spark: SparkSession) -> Iterator[None]:
    with spark_settings(spark, resumable_loads.SPLIT):
        yield


def write(spark: SparkSession, folder: Path, files: int) -> str:
    path = str(folder / "source")
    rows = spark.range(0, files * EACH, 1, files)
    rows.selectExpr("CAST(id AS int) AS id", "concat('row ', id) AS name", "id / 8 AS eighth").write.parquet(path)
    return path


@pytest.fixture
def source(spark: SparkSession, tmp_path: Path) -> str:
    return write(spark, tmp_path, PARTS)


def load(rows: DataFrame, database: Settings, keep: bool | float = True, **more: object) -> LoadReport:
    return load_dataframe(rows, table="t", settings=database, load_id="x", keep_staging=keep, **more)  # type: ignore[arg-type]


def refuse(session: Session, rows: DataFrame) -> None:
    """A row of the last part is refused, also by staging."""
    last = rows.where(f"spark_partition_id() = {PARTS - 1}").agg({"id": "max"}).collect()[0][0]
    session.run(f"CREATE DOMAIN d AS int CONSTRAINT c CHECK (VALUE <> {last})")


def public_tables(session: Session) -> list[str]:
    return [name for [name] in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")]


def test_a_driver_that_is_killed_at_90_percent_leaves_at_most_15_percent_to_copy(
    spark: SparkSession, session: Session, database: Settings, spark_submit: list[str], tmp_path: Path
) -> None:
    """Four of forty parts wait in the server, where they go on waiting when their driver and its tasks are dead."""
    source = write(spark, tmp_path, FILES)
    session.run(
        "CREATE FUNCTION waits(id int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN "
        f"IF id >= {(FILES - 4) * EACH} THEN PERFORM pg_advisory_xact_lock_shared(16); END IF; RETURN true; END $$"
    )
    session.run("CREATE DOMAIN d AS int CHECK (waits(VALUE))")
    for table in LOADS:
        session.run(f"CREATE TABLE {table} (id d, name text, eighth double precision)")
    session.run("SELECT pg_advisory_lock(16)")
    command = [*spark_submit, resumable_loads.__file__, source]
    command[command.index("local[2]")] = f"local[{3 * resumable_loads.AT_ONCE}]"
    with Submitted(command, {**jvm.environ(), **environment(database)}, tmp_path) as job:
        job.until(lambda: claimed(session) == [FILES - 4] * 2, "90 % of the parts")
        stale = copying(session)
        job.kill_group()
    with ThreadPoolExecutor() as pool:
        loads = {t: pool.submit(resumable_loads.load, spark.read.parquet(source), database, t) for t in LOADS}
        until(lambda: not stale & copying(session), "the end of what the dead driver's tasks still do")
        session.run("SELECT pg_advisory_unlock(16)")
    for table, rerun in loads.items():
        report = rerun.result()
        assert (report.parts, report.parts_kept, report.rows_inserted) == (FILES, FILES - 4, FILES * EACH)
        all_bytes = session.value(f"SELECT sum(length(concat_ws(' ', id, name, eighth)) + 1)::int FROM {table}")
        assert 0 < report.bytes_copied < 0.15 * all_bytes
        assert session.run(f"SELECT {CHECKSUM} FROM {table}") == session.run(f"SELECT {CHECKSUM} FROM {EXPECTED}")
    assert public_tables(session) == ["direct", "pgjobs_claims", "staged", "table_updates"]


CHECKSUM = "count(*), sum(hashtextextended(concat_ws('|', id::int, name, eighth), 0))"
EXPECTED = (
    f"(SELECT id, 'row ' || id AS name, id / 8::float AS eighth FROM generate_series(0, {FILES * EACH - 1}) AS id) AS e"
)


def claimed(session: Session) -> list[int]:
    """How many parts are claimed by each load."""
    runs = session.run("SELECT relname FROM pg_class WHERE relname ~ '^pgjobs_parts_.{32}$' AND relkind = 'r'")
    return [session.value(f"SELECT count(rows) FROM {name}") for [name] in runs]


def copying(session: Session) -> set[int]:
    """The server processes that copy."""
    return {pid for [pid] in session.run("SELECT pid FROM pg_stat_progress_copy")}


@pytest.mark.parametrize(
    ("more", "before"),
    [
        ({}, "(id d, name text, eighth float)"),
        ({"create": True, "column_types": {"id": "d"}, "verify": True}, ""),
        ({"mode": "overwrite", "verify": True}, "(id d, name text, eighth float)"),
        ({"mode": "upsert", "keys": ["id"], "after_sql": "SELECT 1"}, "(id d PRIMARY KEY, name text, eighth float)"),
        ({"mode": "ignore", "keys": ["id"]}, "(id d PRIMARY KEY, name text, eighth float)"),
        ({"schema_mode": "widen", "verify": True}, "(id d, name varchar(3))"),
        (
            {"mode": "overwrite", "overwrite_strategy": "diff", "keys": ["id"]},
            "(id d PRIMARY KEY, name text, eighth float)",
        ),
    ],
    ids=["append", "new table", "overwrite", "upsert", "ignore", "widen", "diff"],
)
def test_a_rerun_copies_the_part_that_failed_and_publishes(
    spark: SparkSession, session: Session, database: Settings, source: str, more: dict[str, Any], before: str
) -> None:
    rows = spark.read.parquet(source)
    refuse(session, rows)
    if before:
        session.run(f"CREATE TABLE t {before}")
    with pytest.raises(LoadError, match="The server refused a row") as failed:
        load(rows, database, parallelism=1, **more)
    assert failed.value.hint.startswith(f"Nothing was loaded. {PARTS - 1} of {PARTS} parts, with 200 rows, are kept in")
    assert "source/part-" in failed.value.message, "the file of the row is named, as by any load"
    session.run("ALTER DOMAIN d DROP CONSTRAINT c")
    report = load(rows, database, **more)
    assert (report.parts_kept, report.rows_inserted) == (PARTS - 1, PARTS * EACH)
    assert report.bytes_copied < 25 * EACH
    assert session.run("SELECT count(DISTINCT id), sum(eighth) FROM t") == [[300, sum(range(300)) / 8]]
    assert public_tables(session) == ["t", "table_updates"]


def test_when_publish_fails_a_rerun_only_publishes(
    spark: SparkSession, session: Session, database: Settings, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    session.run("CREATE TABLE t (id int PRIMARY KEY, name text, eighth float)")
    rows = spark.read.parquet(source)
    with connect(database, "a neighbour") as neighbour, neighbour.transaction():
        neighbour.run("LOCK TABLE t IN SHARE MODE")
        with pytest.raises(TransientError, match="lock"):
            load(rows, database, lock_timeout=1)
    assert f"{PARTS} of {PARTS} parts, with 300 rows, are kept in staging until" in caplog.text
    session.run("ALTER TABLE t ADD added int DEFAULT 7")
    report = load(rows, database, mode="ignore", keys=["id"])  # what is staged does not depend on the mode
    assert (report.parts_kept, report.bytes_copied, report.rows_inserted) == (PARTS, 0, 300)
    assert session.run("SELECT count(*), sum(added)::int FROM t") == [[300, 2100]]
    assert load(rows, database).already_loaded


def test_another_input_or_table_is_refused_and_a_run_that_keeps_nothing_starts_afresh(
    spark: SparkSession, session: Session, database: Settings, source: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = spark.read.parquet(source)
    refuse(session, rows)
    session.run("CREATE TABLE t (id d, name text, eighth float)")
    with pytest.raises(LoadError):
        load(rows, database, parallelism=1)
    with pytest.raises(UsageError, match="what differs is the query"):
        load(rows.where("id > 10"), database)
    with pytest.raises(UsageError, match="what differs is --verify"):
        load(rows, database, verify=True)
    session.run("ALTER TABLE t ALTER id TYPE bigint")
    with pytest.raises(UsageError, match="what differs is the table, its columns or their types"):
        load(rows, database)
    next(Path(source).glob("*.parquet")).touch()
    with pytest.raises(UsageError, match="what differs is the files"):
        load(spark.read.parquet(source), database)
    report = load(spark.read.parquet(source), database, keep=False)
    assert (report.parts_kept, report.rows_inserted) == (0, 300)
    assert (
        "Dropped what an earlier run of the load 'x' had kept in staging: this run has no --keep-staging" in caplog.text
    )
    assert public_tables(session) == ["t", "table_updates"]


def test_what_could_not_be_resumed_is_refused(spark: SparkSession, database: Settings) -> None:
    rows = spark.range(9)
    with pytest.raises(
        UsageError, match="A load with --keep-staging could not be resumed: its rows come from a shuffle"
    ):
        load(rows.repartition(3, "id"), database)
    with pytest.raises(UsageError, match="has no staging to keep"):
        load(rows, database, publish="parts")
    with pytest.raises(UsageError, match="does not go with the mode replace-partitions"):
        load(rows, database, mode="replace-partitions")
    with pytest.raises(UsageError, match="needs a load id"):
        load_dataframe(rows, table="t", settings=database, keep_staging=True)
    with pytest.raises(UsageError, match="cannot keep anything for 0 s"):
        load(rows, database, keep=0.0)


@pytest.mark.parametrize("way", [{"publish": "parts", "keep": False}, {"keep": 60.0}])
def test_a_query_of_which_spark_knows_that_it_has_no_rows_is_loaded(
    spark: SparkSession, session: Session, database: Settings, way: dict[str, Any]
) -> None:
    session.run("CREATE TABLE t (id bigint)")
    assert load(spark.range(9).where("1 = 0"), database, **way).rows_inserted == 0
