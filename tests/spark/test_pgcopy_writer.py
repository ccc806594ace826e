"""`df.write.format("pgcopy")`: the load's promises, kept by Spark's own commit and abort."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from drawn import drawn
from hypothesis import strategies as st
from pgcopies import end_sidecars, options_for, sidecars, until
from pyspark.sql import DataFrame, DataFrameWriter, SparkSession
from spark_settings import spark_settings

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe

pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")


@pytest.fixture
def options(database: Settings, tmp_path: Path) -> dict[str, str]:
    return options_for(database, tmp_path)


def numbers(spark: SparkSession, count: int, parts: int = 2) -> DataFrame:
    return spark.range(0, count, 1, parts).selectExpr("CAST(id AS int) AS a", "CAST(id AS string) AS b")


def write(df: DataFrame, options: dict[str, str], **more: str) -> DataFrameWriter:
    return df.write.format("pgcopy").options(**options, table="t", **more).mode("append")


def public_tables(session: Session) -> set[str]:
    return {name for [name] in session.run("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_rows_are_appended_and_nothing_stays_beside_them(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    for _ in range(2):
        write(numbers(spark, 1000, parts=3), options).save()
    assert session.run("SELECT count(*), sum(a), count(DISTINCT b) FROM t") == [[2000, 999000, 1000]]
    assert public_tables(session) == {"t", "table_updates"}
    assert until(lambda: sidecars(session) == 0)


def test_overwrite_replaces_all_rows(spark: SparkSession, session: Session, options: dict[str, str]) -> None:
    session.run("CREATE TABLE t (b text, a int); INSERT INTO t VALUES ('old', -1)")
    write(numbers(spark, 10), options).mode("overwrite").save()
    assert session.run("SELECT count(*), min(a), max(b) FROM t") == [[10, 0, "9"]]


def test_overwrite_replaces_the_partitions_that_get_rows(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run(
        "CREATE TABLE t (a int, b text) PARTITION BY RANGE (a); CREATE TABLE low PARTITION OF t FOR VALUES FROM (0) TO "
        "(10); CREATE TABLE high PARTITION OF t FOR VALUES FROM (10) TO (20);"
        "INSERT INTO t VALUES (5, 'old'), (15, 'old')"
    )
    write(numbers(spark, 3), options, mode="replace-partitions").mode("overwrite").save()
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[0, "0"], [1, "1"], [2, "2"], [15, "old"]]
    assert public_tables(session) == {"t", "low", "high", "table_updates"}


def test_upsert_by_keys(spark: SparkSession, session: Session, options: dict[str, str]) -> None:
    session.run("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t VALUES (1, 'old'), (-1, 'kept')")
    write(numbers(spark, 3), options, mode="upsert", keys="a").save()
    assert session.run("SELECT a, b FROM t ORDER BY a") == [[-1, "kept"], [0, "0"], [1, "1"], [2, "2"]]


def test_the_table_changes_for_the_data_if_it_may(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run("CREATE TABLE t (a smallint PRIMARY KEY); INSERT INTO t VALUES (-1)")
    write(numbers(spark, 2), options, mode="upsert", keys="a", schemaMode="widen").save()
    assert session.run("SELECT a, b, pg_typeof(a)::text FROM t ORDER BY a") == [
        [-1, None, "integer"],
        [0, "0", "integer"],
        [1, "1", "integer"],
    ]


@pytest.mark.parametrize("marker_table", ["table_updates", "public.marks"])
def test_a_second_write_of_a_load_id_writes_nothing(
    spark: SparkSession, session: Session, options: dict[str, str], marker_table: str
) -> None:
    for _ in range(2):
        write(numbers(spark, 10), options, loadId="x", markerTable=marker_table).save()
    assert session.run("SELECT count(*) FROM t") == [[10]]
    assert Ledger.parse(marker_table).recorded_target(session, "x") == "public.t"


def test_a_load_id_that_another_table_has_is_refused(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    write(numbers(spark, 1), options, loadId="x").save()
    with pytest.raises(Exception, match=r"The load id 'x' is taken by a marker of 'public\.t'"):
        write(numbers(spark, 1), options, loadId="x").option("table", "other").save()
    assert "other" not in public_tables(session)


def test_a_load_id_of_a_table_of_the_same_name_in_another_schema_is_refused(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run("CREATE SCHEMA a1; CREATE SCHEMA a2")
    write(numbers(spark, 1), options, loadId="x").option("table", "a1.t").save()
    with pytest.raises(Exception, match=r"taken by a marker of 'a1\.t', which is not a2\.t"):
        write(numbers(spark, 1), options, loadId="x").option("table", "a2.t").save()
    assert session.run("SELECT to_regclass('a2.t')") == [[None]]


def test_an_empty_load_id_is_refused(spark: SparkSession, session: Session, options: dict[str, str]) -> None:
    with pytest.raises(Exception, match="The option loadId is empty"):
        write(numbers(spark, 1), options, loadId="").save()
    assert public_tables(session) == {"table_updates"}


def test_an_empty_dataframe_makes_an_empty_table(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    write(numbers(spark, 0), options).save()
    assert session.run("SELECT count(*) FROM t") == [[0]]


def test_a_column_that_does_not_match_is_refused_before_anything_is_copied(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run("CREATE TABLE t (a int, c int NOT NULL)")
    with pytest.raises(Exception, match="'b' is not a column of the table; 'c' is missing"):
        write(numbers(spark, 3), options).save()
    assert public_tables(session) == {"t", "table_updates"}


def test_a_type_that_cannot_be_written_is_refused_by_column(spark: SparkSession, options: dict[str, str]) -> None:
    df = spark.sql("SELECT named_struct('x', 1) AS s, 1 AS fine, date'2026-01-01' AS d")
    with pytest.raises(Exception, match="pgcopy cannot write 's' is a struct<x:int> for jsonb"):
        write(df, options).save()


def test_a_row_that_the_server_refuses_leaves_nothing(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    session.run("CREATE TABLE t (a int, b int)")
    df = spark.range(0, 100, 1, 4).selectExpr("CAST(id AS int) AS a", "IF(id = 77, 'planted', CAST(id AS string)) AS b")
    with pytest.raises(Exception, match='The server refused a row: column "b": invalid input syntax') as caught:
        write(df, options, loadId="x").save()
    assert "planted" not in str(caught.value)
    assert session.run("SELECT count(*) FROM t") == [[0]]
    assert public_tables(session) == {"t", "table_updates"}
    assert LUIGIS.recorded_target(session, "x") is None
    assert until(lambda: sidecars(session) == 0)


def test_a_job_that_fails_leaves_nothing(spark: SparkSession, session: Session, options: dict[str, str]) -> None:
    df = spark.range(0, 10, 1, 2).selectExpr("CAST(IF(id = 7, raise_error('broken input'), id) AS int) AS a")
    with pytest.raises(Exception, match="broken input"):
        write(df, options).save()
    assert public_tables(session) == {"table_updates"}
    assert until(lambda: sidecars(session) == 0)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
AWKWARD = TEXT | st.sampled_from(["", "\\N", "\\", "a\tb\nc\rd", "NULL", '"', "{}", "a,b", "\\."])
UTC = dt.timezone.utc
DATES = st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31))
LOCAL = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29))  # noqa: DTZ001 - times without zone
KINDS: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "bool": ("boolean", st.booleans()),
    "byte": ("tinyint", st.integers(-128, 127)),
    "int": ("int", st.integers(-(2**31), 2**31 - 1)),
    "long": ("bigint", st.integers(-(2**63), 2**63 - 1)),
    "float": ("float", st.floats(width=32)),
    "double": ("double", st.floats()),
    "decimal": ("decimal(38,10)", st.decimals(-(10**27), 10**27, allow_nan=False, places=10)),
    "text": ("string", AWKWARD),
    "binary": ("binary", st.binary(max_size=9)),
    "date": ("date", DATES),
    "zoned": ("timestamp", LOCAL.map(lambda value: value.replace(tzinfo=UTC))),
    "local": ("timestamp_ntz", LOCAL),
    "interval": ("interval day to second", st.integers(-(10**14), 10**14).map(lambda n: dt.timedelta(microseconds=n))),
    "ints": ("array<int>", st.lists(st.integers(-9, 9) | st.none(), max_size=3)),
    "texts": ("array<string>", st.lists(AWKWARD | st.none(), max_size=3)),
    "blobs": ("array<binary>", st.lists(st.binary(max_size=3) | st.none(), max_size=3)),
    "moments": ("array<timestamp_ntz>", st.lists(LOCAL | st.none(), max_size=2)),
    "nested": ("array<array<string>>", st.lists(st.tuples(AWKWARD | st.none(), AWKWARD).map(list), max_size=2)),
}
SCHEMA = ", ".join(["id int", *(f"{name} {kind}" for name, (kind, _) in KINDS.items())])


def test_every_type_is_written_as_by_the_load(
    spark: SparkSession, session: Session, database: Settings, options: dict[str, str]
) -> None:
    """Which encodes in the JVM, and this by Arrow."""
    rows = drawn(st.tuples(*(kind | st.none() for _, kind in KINDS.values())), 70)
    df = spark.createDataFrame([(place, *row) for place, row in enumerate(rows)], SCHEMA)
    write(df, options).save()
    load_dataframe(df, table="theirs", settings=database)
    assert session.run("SELECT count(*) FROM t") == [[len(rows)]]
    for name in KINDS:
        wrong = session.run(
            f'SELECT id FROM t JOIN theirs USING (id) WHERE t."{name}"::text IS DISTINCT FROM theirs."{name}"::text'
        )
        assert (name, wrong) == (name, [])


def test_years_before_1_and_after_9999_are_written_right(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    years = [[-4712], [-1], [0], [1], [2026], [9999], [10_000], [294_246]]
    df = spark.createDataFrame(years, "y int").selectExpr(
        "y", "make_date(y, 3, 15) AS d", "unix_date(make_date(y, 3, 15)) AS n",
        "make_timestamp_ntz(y, 3, 15, 1, 2, 3.000004) AS l",
    )  # fmt: skip
    write(df, options).save()
    assert session.run("SELECT y FROM t WHERE d - date '1970-01-01' <> n OR l <> d + time '01:02:03.000004'") == []
    assert session.run("SELECT count(*) FROM t") == [[len(years)]]


def test_what_was_written_is_read_back(spark: SparkSession, session: Session, options: dict[str, str]) -> None:
    df = spark.createDataFrame([(1, "a\tb", [["x", None]])], "a int, b string, c array<array<string>>")
    session.run("CREATE TABLE t (a int, b text, c text[][])")
    write(df, options).save()
    read = spark.read.format("pgcopy").options(**options, table="t").load()
    assert read.collect() == df.collect()
    end_sidecars(session)


def test_arrows_large_types_are_written_and_read_as_others(
    spark: SparkSession, session: Session, options: dict[str, str]
) -> None:
    name = "spark.sql.execution.arrow.useLargeVarTypes"
    df = spark.sql("SELECT 'tab\\t' AS s, X'0a5c' AS b, array('x', NULL) AS a, array(array(X'01')) AS n, 1 AS i")
    session.run("CREATE TABLE t (s text, b bytea, a text[], n bytea[][], i int)")
    with spark_settings(spark, {name: "true"}):
        write(df, options).save()
        assert spark.read.format("pgcopy").options(**options, table="t").load().collect() == [
            ("tab\t", b"\x0a\x5c", ["x", None], [[b"\x01"]], 1)
        ]
    end_sidecars(session)
    assert session.run(r"SELECT s = E'tab\t', b = '\x0a5c', a = '{x,NULL}', n = ARRAY[['\x01'::bytea]] FROM t") == [
        [True] * 4
    ]
