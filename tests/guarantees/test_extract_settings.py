"""What a role or database sets means the same in an extract as in psql; what Spark's session sets changes no value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from extracts import extracted
from pyspark.sql import DataFrame, SparkSession
from spark_settings import spark_settings

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted

DECODERS = pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "spark"])


def set_for_database(session: Session, database: Settings, name: str, value: str) -> None:
    session.run(f"ALTER DATABASE \"{database.dbname}\" SET {name} = '{value}'")


@DECODERS
def test_views_and_filters_see_the_time_zone_of_the_role_or_database(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    set_for_database(session, database, "TimeZone", "America/New_York")
    session.run("CREATE TABLE t (id int, ts timestamptz)")
    session.run("INSERT INTO t VALUES (1, '2026-01-01 02:00+00'), (2, '2026-01-01 12:00+00')")
    session.run("CREATE VIEW v AS SELECT id, ts, ts::date::text AS day, ts::text AS seen FROM t")
    wanted = Wanted(TableName("v"), filter="id = 1 OR ts >= '2026-01-01'")
    with extracted(spark, database, wanted, arrow) as df:
        found = [tuple(row) for row in df.selectExpr("id", "unix_seconds(ts)", "day", "seen").orderBy("id").collect()]
    assert found == [
        (1, 1767232800, "2025-12-31", "2025-12-31 21:00:00-05"),
        (2, 1767268800, "2026-01-01", "2026-01-01 07:00:00-05"),
    ]
    later = Wanted(TableName("t"), filter="ts >= '2026-01-01'")
    with extracted(spark, database, later, arrow) as df:
        assert [row.id for row in df.collect()] == [2]


INSTANTS = """
CREATE TABLE t AS SELECT n AS id, ts, ARRAY[ts, NULL, ts] AS many FROM (
    SELECT n, timestamptz '4713-01-01 12:00+00 BC' + n * interval '51001 days 01:02:03.000007' AS ts
    FROM generate_series(0, 1000) n
    UNION ALL SELECT 2000 + n, timestamptz '2026-11-01 00:00-04' + n * interval '7 min' FROM generate_series(0, 40) n
) instants
"""


@DECODERS
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_an_instant_is_the_same_whatever_the_time_zone_of_the_database(
    spark: SparkSession, session: Session, database: Settings, arrow: bool, zone: str
) -> None:
    """Before time zones, New York was 4 hours, 56 minutes and 2 seconds behind."""
    session.run(INSTANTS)
    asked = session.run("SELECT id, (extract(epoch FROM ts) * 1000000)::bigint FROM t ORDER BY id")
    set_for_database(session, database, "TimeZone", zone)
    with extracted(spark, database, "t", arrow) as df:
        columns = ["id", "unix_micros(ts)", "unix_micros(many[0])", "unix_micros(many[2])", "many[1] IS NULL"]
        found = [list(row) for row in df.selectExpr(*columns).orderBy("id").collect()]
    assert found == [[number, micros, micros, micros, True] for number, micros in asked]


def test_a_date_in_a_filter_is_read_in_the_order_of_the_role(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    set_for_database(session, database, "DateStyle", "SQL, DMY")
    session.run("CREATE TABLE t (d date); INSERT INTO t VALUES ('2026-02-01'), ('2026-01-02')")
    with extracted(spark, database, Wanted(TableName("t"), filter="d = '01/02/2026'")) as df:
        assert [str(row.d) for row in df.collect()] == ["2026-02-01"]


@DECODERS
def test_arrays_and_backslashes_of_a_filter_keep_their_meaning_without_standard_conforming_strings(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run("CREATE TABLE t (a int[], s text); INSERT INTO t VALUES ('{1,2}', E'tab\\there'), ('{3}', 'no')")
    set_for_database(session, database, "standard_conforming_strings", "off")
    set_for_database(session, database, "escape_string_warning", "off")
    with extracted(spark, database, Wanted(TableName("t"), filter=r"s LIKE '%\t%'"), arrow) as df:
        assert [row.a for row in df.collect()] == [[1, 2]]


@pytest.fixture
def untimed(spark: SparkSession) -> Iterator[None]:
    """To Spark's SQL, `timestamp` is one without a zone."""
    with spark_settings(spark, {"spark.sql.timestampType": "TIMESTAMP_NTZ"}):
        yield


MOMENTS = """
CREATE TABLE t AS SELECT ts, ts AT TIME ZONE 'UTC' AS local, ARRAY[ts] AS many
FROM unnest(ARRAY['2026-03-29 01:30+00', '2026-11-01 05:30+00', '0044-03-15 12:00+00 BC']::timestamptz[]) ts
"""


@DECODERS
@pytest.mark.usefixtures("untimed")
def test_timestamps_and_their_types_are_the_same_where_sparks_timestamps_have_no_zone(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run(MOMENTS)
    asked = session.run("SELECT (extract(epoch FROM ts) * 1000000)::bigint AS m FROM t ORDER BY m")
    with extracted(spark, database, "t", arrow) as df:
        assert df.schema.simpleString() == "struct<ts:timestamp,local:timestamp_ntz,many:array<timestamp>>"
        assert micros(df) == [number for [number] in asked]


def micros(df: DataFrame) -> list[int]:
    """The instants of a column and of an array, which are the same."""
    rows = df.selectExpr("unix_micros(ts) AS one", "unix_micros(many[0]) AS other").orderBy("one").collect()
    assert all(row.one == row.other for row in rows)
    return [row.one for row in rows]


@DECODERS
def test_timestamps_are_read_under_the_legacy_time_parser(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run(f"{MOMENTS}; ALTER TABLE t ADD d date DEFAULT '0044-03-15 BC'")
    asked = session.run("SELECT (extract(epoch FROM ts) * 1000000)::bigint AS m FROM t ORDER BY m")
    legacy = spark_settings(spark, {"spark.sql.legacy.timeParserPolicy": "LEGACY"})
    with legacy, extracted(spark, database, "t", arrow) as df:
        assert micros(df) == [number for [number] in asked]
        assert df.selectExpr("unix_date(d)").first() == (-735160,)


@pytest.fixture
def latin1(server: Settings, database: Settings) -> Iterator[Settings]:
    """A database that holds the characters of LATIN1 alone."""
    name = f"{database.dbname}_latin1"
    with connect(server, "pgjobs tests") as admin:
        admin.run(f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
        yield replace(database, dbname=name)
        admin.run(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_a_filter_with_a_character_that_the_database_lacks_is_refused_with_that_reason(
    spark: SparkSession, latin1: Settings
) -> None:
    with connect(latin1, "test") as other:
        other.run("CREATE TABLE t (s text); INSERT INTO t VALUES ('é')")
    with extracted(spark, latin1, Wanted(TableName("t"), filter="s = 'é'")) as df:
        assert df.count() == 1
    with pytest.raises(UsageError) as caught, extracted(spark, latin1, Wanted(TableName("t"), filter="s = '€'")):
        pass
    assert "has a character that the database's encoding LATIN1 lacks" in str(caught.value)
