"""Every value that Spark encodes arrives as it was, by both carriers."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t
from spark_settings import spark_settings

from jobs.copyformat.encode_spark import encode
from jobs.copyformat.match_columns import match_new
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.job import LoadJob
from jobs.flows.load.run import run
from jobs.spark.nul import Cleaning, cleaned

SCHEMA = t.StructType(
    [
        t.StructField("flag", t.BooleanType()),
        t.StructField("i1", t.ByteType()),
        t.StructField("i2", t.ShortType()),
        t.StructField("i4", t.IntegerType()),
        t.StructField("i8", t.LongType()),
        t.StructField("f4", t.FloatType()),
        t.StructField("f8", t.DoubleType()),
        t.StructField("n", t.DecimalType(38, 18)),
        t.StructField("s", t.StringType()),
        t.StructField("x", t.BinaryType()),
        t.StructField("d", t.DateType()),
        t.StructField("tn", t.TimestampNTZType()),
    ]
)

ROWS: list[list[object]] = [
    [
        True,
        127,
        32767,
        2147483647,
        9223372036854775807,
        1.5,
        0.1,
        Decimal("12345678901234567890.123456789012345678"),
        "plain",
        b"\x00\xff\\",
        dt.date(2026, 11, 20),
        dt.datetime(2026, 3, 8, 2, 30, 0, 123456),  # noqa: DTZ001 - a time without zone, and one that New York skips
    ],
    [
        False,
        -128,
        -32768,
        -2147483648,
        -9223372036854775808,
        float("-inf"),
        float("inf"),
        Decimal("-0.000000000000000001"),
        "tab\there\nnew\r\nline \\N \\. \b\f\v é 漢 🎈 \x01 'q\" ",
        b"",
        dt.date(1, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001 - a time without zone
    ],
    [None] * 12,
    [None, 0, 0, 0, 0, 0.0, 5e-324, Decimal(0), "", b"a", dt.date(9999, 12, 31), dt.datetime(1, 1, 1)],  # noqa: DTZ001 - likewise
    [None, 0, 0, 0, 0, 3.4028235e38, 1.7976931348623157e308, Decimal(1), "\\N", b"\n\t", dt.date(1582, 10, 10), None],
]


def load(rows: DataFrame, database: Settings, table: str = "t") -> None:
    run(LoadJob(TableName(table), database, f"test/{table}"), lambda: rows)


def test_common_scalars_arrive_as_they_were(spark: SparkSession, session: Session, database: Settings) -> None:
    numbered = [[index, *row] for index, row in enumerate(ROWS)]
    schema = t.StructType([t.StructField("id", t.IntegerType()), *SCHEMA.fields])
    load(spark.createDataFrame(numbered, schema), database)
    assert session.run("SELECT * FROM t ORDER BY id") == numbered


def test_not_a_number_is_not_null(spark: SparkSession, session: Session, database: Settings) -> None:
    load(spark.sql("SELECT double('NaN') AS d, float('NaN') AS f"), database)
    assert session.run("SELECT d::text, f::text FROM t") == [["NaN", "NaN"]]


def test_an_instant_is_the_same_in_every_time_zone_and_in_an_hour_that_comes_twice(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    epochs = [0, 1383455700, 1383459300, 1762058100, -2208988800, 253402300799, -62135596800 + 86400 * 2]
    rows = spark.createDataFrame([[epoch] for epoch in epochs], "epoch long")
    load(rows.selectExpr("epoch", "timestamp_seconds(epoch) + INTERVAL '0.123456' SECOND AS at"), database)
    assert session.run("SELECT count(*) FROM t WHERE extract(epoch FROM at) = epoch + 0.123456") == [[len(epochs)]]


def test_timestamps_go_into_columns_of_the_other_kind_as_spark_casts_them(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (local timestamp, instant timestamptz, day timestamptz, word text)")
    load(
        spark.sql(
            "SELECT timestamp'2026-07-01 12:00:00Z' AS local, timestamp_ntz'2026-07-01 08:00:00' AS instant, "
            "date'2026-07-01' AS day, date'2026-07-01' AS word"
        ),
        database,
    )
    session.run("SET TimeZone = 'UTC'")
    assert session.run("SELECT local::text, instant::text, day::text, word FROM t") == [
        ["2026-07-01 08:00:00", "2026-07-01 12:00:00+00", "2026-07-01 04:00:00+00", "2026-07-01"]
    ]


def test_a_string_goes_into_any_type_as_the_server_reads_it(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    session.run("CREATE TABLE t (u uuid, j jsonb, i inet, m mood, n numeric, a int[], r int4range)")
    row = ["6f1d2f0e-58a2-4b9a-9a43-6f6d4a3a1b2c", '{"a": "x\\ny"}', "10.0.0.0/8", "ok", "1e3", "{1,2}", "[1,5)"]
    load(
        spark.createDataFrame([row], "u string, j string, i string, m string, n string, a string, r string"),
        database,
    )
    assert session.run("SELECT u::text, j->>'a', i::text, m::text, n::text, a::text, r::text FROM t") == [
        [row[0], "x\ny", row[2], "ok", "1000", "{1,2}", "[1,5)"]
    ]


def test_names_with_quotes_spaces_dots_and_backquotes_mean_themselves(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    names = ['say "hi"', "a.b", "back`tick", "Upper", "select", "é" * 31, "%s"]
    load(spark.createDataFrame([list(range(len(names)))], names), database, table='my "table" %s')
    assert session.run('SELECT * FROM "my ""table"" %s"') == [list(range(len(names)))]
    described = session.run(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0", '"my ""table"" %s"'
    )
    assert [name for [name] in described] == names


def test_long_strings_and_many_rows_arrive_whole(spark: SparkSession, session: Session, database: Settings) -> None:
    """Lines below, about and far above the 64 KiB of PySpark's buffer; 25,000 rows are several Arrow batches."""
    rows = spark.range(25_000).selectExpr("id", "repeat('x', CAST(id % 90 AS int)) AS s")
    long_ones = spark.createDataFrame(
        [[-1, "y" * 1_000_000], [-2, "z" * 65_530], [-3, "é" * 40_000]], "id long, s string"
    )
    load(rows.union(long_ones), database)
    assert session.run("SELECT count(*), sum(length(s)), sum(id) FROM t") == [
        [25_003, sum(i % 90 for i in range(25_000)) + 1_105_530, sum(range(25_000)) - 6]
    ]


def calls_of_the_jvm(action: Callable[[], object]) -> int:
    calls = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal calls
        calls += event == "call" and frame.f_code.co_name == "send_command"

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def test_a_further_column_takes_few_calls_of_the_jvm(spark: SparkSession) -> None:
    """A column of strings took 180 calls, so that a thousand of them took 8.5 seconds before anything was copied."""

    def calls(columns: int) -> int:
        strings = [f"'' AS s{number}" for number in range(columns // 2)]
        numbers = [f"{number}.5 AS n{number}" for number in range(columns // 2)]
        rows = spark.range(1).selectExpr(*strings, *numbers)
        matches = match_new(rows.schema)
        return calls_of_the_jvm(lambda: encode(rows, matches))

    assert 0 < calls(200) - calls(100) <= 100 * 4


@pytest.mark.parametrize(
    "setting", ["spark.sql.parser.escapedStringLiterals", "spark.sql.ansi.enforceReservedKeywords"]
)
def test_lines_are_the_same_whatever_spark_parses_otherwise(spark: SparkSession, setting: str) -> None:
    rows = spark.createDataFrame(
        [["\\t\"'\t\\N\0\r", 1, True, 1.5, None]], "s string, i int, b boolean, d double, n string"
    )
    with spark_settings(spark, {setting: "true"}):
        [[line]] = encode(cleaned(rows, Cleaning("")), match_new(rows.schema)).collect()
    assert line == "\\\\t\"'\\t\\\\N\\r\t1\ttrue\t1.5\t\\N\n"
