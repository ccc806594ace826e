"""Any row of any type that Spark can hold comes back equal: by both carriers, in a session time zone with DST."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any

import pytest
from drawn import drawn
from hypothesis import strategies as st
from kinds import KINDS, Kind, text_of
from pyspark.sql import SparkSession
from pyspark.sql import types as t
from spark_settings import spark_settings

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.job import LoadJob, new_load_id
from jobs.flows.load.run import run


def expected_of(kind: Kind, value: object) -> object:
    return None if value is None else kind.expected(value)


def comparable(kind: Kind, value: Any) -> Any:  # noqa: ANN401 - what the driver returned
    """What the driver returned, with NaN and the infinities as words, JSON as objects and dates as their text."""
    if isinstance(value, float):
        return text_of(value)
    if isinstance(value, str) and kind.read.endswith("::text"):
        return json.loads(value)
    if isinstance(value, list) and kind.read.endswith("::text[]"):
        return [None if item is None else dt.date.fromisoformat(item) for item in value]
    return value


ROWS = 200

Column = tuple[list[Any], list[Any]]
"""The values that were loaded, and those that were read."""


@pytest.fixture(scope="module")
def columns(spark: SparkSession, module_database: Settings) -> dict[str, Column]:
    """Values of each type: one load brings them all, each type in a column."""
    drawn_of = {name: drawn(kind.values | st.none(), ROWS) for name, kind in KINDS.items()}
    values = {name: list(itertools.islice(itertools.cycle(some), ROWS)) for name, some in drawn_of.items()}
    fields = [t.StructField(name, kind.spark_type) for name, kind in KINDS.items()]
    rows = spark.createDataFrame(
        list(zip(range(ROWS), *values.values())), t.StructType([t.StructField("id", t.IntegerType()), *fields])
    )
    run(LoadJob(TableName("t"), module_database, new_load_id()), lambda: rows)
    read = ", ".join(kind.read.format(quote_name(name)) for name, kind in KINDS.items())
    with connect(module_database, "t") as session:
        found = session.run(f"SELECT {read} FROM t ORDER BY id")
    assert len(found) == ROWS
    return {name: (values[name], list(column)) for name, column in zip(KINDS, zip(*found))}


@pytest.mark.parametrize("name", KINDS)
def test_values_come_back_equal(columns: dict[str, Column], name: str) -> None:
    kind, (loaded, read) = KINDS[name], columns[name]
    assert [comparable(kind, value) for value in read] == [expected_of(kind, value) for value in loaded]


def test_year_month_intervals_come_back_equal(spark: SparkSession, session: Session, database: Settings) -> None:
    months = [0, 1, -1, 14, -14, 2_000_000_000 // 12, -(2_000_000_000 // 12)]
    rows = spark.createDataFrame([[n] for n in months], "n int").selectExpr("n", "make_ym_interval(0, n) AS v")
    job = LoadJob(TableName("t"), database, new_load_id())
    run(job, lambda: rows)
    assert session.run("SELECT count(*) FROM t WHERE v = make_interval(months => n)") == [[len(months)]]


def test_an_interval_in_hours_keeps_its_days(spark: SparkSession, session: Session, database: Settings) -> None:
    load(spark, database, "SELECT INTERVAL '50' HOUR AS h, INTERVAL '-26:03' HOUR TO MINUTE AS m")
    assert session.run("SELECT extract(epoch FROM h)::int, extract(epoch FROM m)::int FROM t") == [[180_000, -93_780]]


def load(spark: SparkSession, database: Settings, query: str, *, nul: str = "error") -> None:
    job = LoadJob(TableName("t"), database, new_load_id(), nul=nul)
    run(job, lambda: spark.sql(query))


YEARS = [-4712, -1, 0, 1, 2026, 9999, 10_000, 294_246]


def test_years_before_1_and_after_9999_come_out_right(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    """PostgreSQL counts the days itself: from its own epoch, by its own calendar, which has no year 0."""
    dates = spark.createDataFrame([[year] for year in YEARS], "y int").selectExpr(
        "y",
        "make_date(y, 3, 15) AS d",
        "unix_date(make_date(y, 3, 15)) AS days",
        "make_timestamp_ntz(y, 3, 15, 1, 2, 3.000004) AS tn",
        "IF(y > 9998, NULL, timestamp_micros(unix_date(make_date(y, 3, 15)) * 86400000000L + 4)) AS ts",
    )
    job = LoadJob(TableName("t"), database, new_load_id())
    run(job, lambda: dates)
    wrong = session.run(
        "SELECT y FROM t WHERE d - date '1970-01-01' <> days "
        "OR tn <> d + time '01:02:03.000004' OR extract(epoch FROM ts) <> days * 86400.0 + 0.000004"
    )
    assert wrong == []
    assert session.run("SELECT count(*), count(ts) FROM t") == [[len(YEARS), 5]]


@pytest.mark.parametrize(
    "value",
    [
        "make_date(-4713, 1, 1)",
        "timestamp_micros(-9223372036854775808)",
        "timestamp_micros(-210866803200000001)",  # the last one before PostgreSQL's first
    ],
)
def test_what_postgresql_cannot_hold_is_refused_by_column(spark: SparkSession, database: Settings, value: str) -> None:
    with pytest.raises(LoadError, match=r'column "too_far": .*out of range'):
        load(spark, database, f"SELECT {value} AS too_far")


def test_the_first_and_the_last_instant_that_both_hold_arrive(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    ends = (-210866803200000000, -1, 9223372036854775807)
    load(spark, database, "SELECT " + ", ".join(f"timestamp_micros({end}) AS t{n}" for n, end in enumerate(ends)))
    session.run("SET TimeZone = 'UTC'")
    assert session.run("SELECT t0::text, t1::text, t2::text FROM t") == [
        ["4714-11-24 00:00:00+00 BC", "1969-12-31 23:59:59.999999+00", "294247-01-10 04:00:54.775807+00"]
    ]


def test_json_keeps_microseconds_nulls_and_keys_of_other_types(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    load(
        spark,
        database,
        "SELECT named_struct('at', timestamp'2026-11-01 05:30:00.123456Z', 'none', CAST(NULL AS int), "
        "'day', date'2026-11-20') AS s, map(date'2026-11-20', 1.50) AS m, array(map('a', 1), NULL) AS am",
    )
    [[struct, mapping, array]] = session.run("SELECT s::text, m::text, to_jsonb(am)::text FROM t")
    assert json.loads(struct) == {"at": "2026-11-01T05:30:00.123456Z", "none": None, "day": "2026-11-20"}
    assert json.loads(mapping) == {"2026-11-20": 1.5}
    assert json.loads(array) == [{"a": 1}, None]


DEEP_KEYS = {
    "date'2024-01-02'": "2024-01-02",
    "date'0001-01-01'": "0001-01-01",
    "date'1582-10-10'": "1582-10-10",
    "timestamp'2026-11-01 05:30:00Z'": "2026-11-01T05:30:00.000000Z",
    "timestamp_ntz'2026-11-01 01:30:00.5'": "2026-11-01T01:30:00.500000",
    "1.50": "1.50",
    "-7": "-7",
    "true": "true",
}


def test_keys_of_maps_are_exact_at_any_depth(spark: SparkSession, session: Session, database: Settings) -> None:
    columns = [f"map({key}, {place}) AS c{place}" for place, key in enumerate(DEEP_KEYS)]
    columns += [
        f"map('x', array(named_struct('m', map({key}, {place})))) AS d{place}" for place, key in enumerate(DEEP_KEYS)
    ]
    columns += [f"array(map({key}, {place}), NULL) AS a{place}" for place, key in enumerate(DEEP_KEYS)]
    load(spark, database, f"SELECT {', '.join(columns)}")
    [row] = session.run("SELECT to_jsonb(t)::text FROM t")
    loaded = json.loads(row[0])
    for place, key in enumerate(DEEP_KEYS.values()):
        assert loaded[f"c{place}"] == {key: place}
        assert loaded[f"d{place}"] == {"x": [{"m": {key: place}}]}
        assert loaded[f"a{place}"] == [{key: place}, None]


def test_instants_of_an_hour_that_comes_twice_are_two_keys(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    load(spark, database, "SELECT map(timestamp'2026-11-01 05:30:00Z', 1, timestamp'2026-11-01 06:30:00Z', 2) AS m")
    assert session.run("SELECT m->>'2026-11-01T05:30:00.000000Z', m->>'2026-11-01T06:30:00.000000Z' FROM t") == [
        ["1", "2"]
    ]


def test_a_structs_names_stay_as_they_are_and_its_null_stays_null(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    fields = "'a.b', date'2024-01-02', 'a', 1, 'A', 2, 'tick`', named_struct('none', CAST(NULL AS date))"
    load(
        spark,
        database,
        f"SELECT named_struct({fields}) AS s, IF(rand() > 2, named_struct('d', date'2024-01-02'), NULL) AS n",
    )
    [[struct, none]] = session.run("SELECT s::text, n FROM t")
    assert json.loads(struct) == {"a.b": "2024-01-02", "a": 1, "A": 2, "tick`": {"none": None}}
    assert none is None


@pytest.mark.parametrize(
    "query",
    ["map(x'61ff', 1)", "array(map(named_struct('a', 1), 2))", "named_struct('m', map('x', map(array(1), 2)))"],
)
def test_keys_without_an_exact_text_are_refused_by_column(spark: SparkSession, database: Settings, query: str) -> None:
    with pytest.raises(UsageError, match=r"'odd' holds a map with keys of (binary|struct|array)"):
        load(spark, database, f"SELECT 1 AS fine, {query} AS odd")


def test_two_fields_of_one_name_are_refused_by_column(spark: SparkSession, database: Settings) -> None:
    with pytest.raises(UsageError, match="'odd' holds a struct with two fields 'a'"):
        load(spark, database, "SELECT 1 AS fine, array(named_struct('a', 1, 'a', 2)) AS odd")


SPARK_SETTINGS = {
    "the legacy parser": ("spark.sql.legacy.timeParserPolicy", "LEGACY"),
    "a zone beyond the server's": ("spark.sql.session.timeZone", "+18:00"),
    "a zone beyond the server's in the west": ("spark.sql.session.timeZone", "-18:00"),
}


@pytest.mark.parametrize("setting", SPARK_SETTINGS)
def test_timestamps_are_the_same_whatever_sparks_session_sets(
    spark: SparkSession, session: Session, database: Settings, setting: str
) -> None:
    session.run(
        "CREATE TABLE t (at timestamptz, old timestamptz, text text, day date, days text, tn timestamp, s jsonb)"
    )
    query = (
        "SELECT timestamp'2026-11-01 05:30:00.123456Z' AS at, timestamp'1800-01-01 00:00:00Z' AS old, "
        "timestamp'2026-11-01 05:30:00.5Z' AS text, date'1582-10-10' AS day, make_date(-43, 3, 15) AS days, "
        "timestamp_ntz'0001-01-01 01:02:03' AS tn, named_struct('at', timestamp'1800-01-01 00:00:00.000001Z', "
        "'day', date'1582-10-10', 'tn', timestamp_ntz'0001-01-01 01:02:03') AS s"
    )
    name, value = SPARK_SETTINGS[setting]
    with spark_settings(spark, {name: value}):
        load(spark, database, query)
    session.run("SET TimeZone = 'UTC'")
    assert session.run("SELECT at::text, old::text, text, day::text, days, tn::text FROM t") == [
        [
            "2026-11-01 05:30:00.123456+00",
            "1800-01-01 00:00:00+00",
            "2026-11-01 05:30:00.5+00",
            "1582-10-10",
            "0044-03-15 BC",
            "0001-01-01 01:02:03",
        ]
    ]
    [[struct]] = session.run("SELECT s::text FROM t")
    assert json.loads(struct) == {
        "at": "1800-01-01T00:00:00.000001Z",
        "day": "1582-10-10",
        "tn": "0001-01-01T01:02:03.000000",
    }


COLLATIONS = ["UTF8_LCASE", "UNICODE", "UNICODE_CI", "UNICODE_AI", "de_CI_AI"]
TRIMMING = "UTF8_BINARY_RTRIM"
"""Spark 4.0 does not take it."""
SIMILAR = '\uff3c \\\u0301 \uff02 "\u0301 \\\\ a\tb\u0301\n\u0301 '
"""What a collation takes for a backslash or a quote, or hides one with: U+FF3C, U+FF02, and U+0301 after them."""


def test_strings_of_any_collation_come_back_by_their_bytes(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    if spark.version < "4":
        pytest.skip("Spark has collations from 4.0 on")
    columns = []
    collations = [*COLLATIONS, *([TRIMMING] if spark.version >= "4.1" else [])]
    for place, name in enumerate(collations):
        one = f"collate(s, '{name}')"
        columns += [f"{one} AS s{place}", f"array({one}, NULL) AS a{place}", f"map({one}, {one}) AS m{place}"]
        columns += [f"named_struct('f', {one}) AS n{place}", f"array(array({one})) AS aa{place}"]
    rows = spark.createDataFrame([[SIMILAR]], "s string").selectExpr(*columns)
    run(LoadJob(TableName("t"), database, new_load_id()), lambda: rows)
    for place, name in enumerate(collations):
        [row] = session.run(f"SELECT s{place}, a{place}, m{place}::text, n{place}::text, aa{place} FROM t")
        row[2:4] = map(json.loads, row[2:4])
        assert (name, row) == (name, [SIMILAR, [SIMILAR, None], {SIMILAR: SIMILAR}, {"f": SIMILAR}, [[SIMILAR]]])


def test_a_nul_in_a_string_with_a_collation_is_told_or_left_out(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    if spark.version < "4":
        pytest.skip("Spark has collations from 4.0 on")
    one, two = "collate('a\\0b', 'UNICODE')", "array(collate('\\0', 'UNICODE'))"
    query = f"SELECT {one} AS one, collate('ab', 'UNICODE') AS fine, {two} AS two"
    with pytest.raises(LoadError, match=r"cannot contain NUL, and there are some in one, two\."):
        load(spark, database, query)
    load(spark, database, query, nul="strip")
    assert session.run("SELECT one, fine, two FROM t") == [["ab", "ab", [""]]]


def test_arrays_and_structs_go_into_json_columns(spark: SparkSession, session: Session, database: Settings) -> None:
    session.run("CREATE TABLE t (a jsonb, s json)")
    load(spark, database, "SELECT array(1, NULL, 3) AS a, named_struct('x', 'tab\\there') AS s")
    assert session.run("SELECT a::text, s->>'x' FROM t") == [["[1, null, 3]", "tab\there"]]


def test_variants_and_times_where_spark_has_them(spark: SparkSession, session: Session, database: Settings) -> None:
    if spark.version < "4.1":
        pytest.skip("Spark has variant from 4.0 on, and time from 4.1 on")
    load(spark, database, """SELECT parse_json('{"a": [1, null, "x"]}') AS v, time'12:34:56.123456' AS at""")
    assert session.run("SELECT v::text, at::text FROM t") == [['{"a": [1, null, "x"]}', "12:34:56.123456"]]


def test_ragged_arrays_are_refused_by_column(spark: SparkSession, database: Settings) -> None:
    with pytest.raises(LoadError, match='column "ragged"'):
        load(spark, database, "SELECT array(array(1, 2), array(3)) AS ragged")


def test_a_nul_is_refused_by_its_columns(spark: SparkSession, session: Session, database: Settings) -> None:
    query = "SELECT 'a' AS fine, 'a\\0b' AS one, array('x', '\\0') AS two, named_struct('s', 'a\\0') AS three"
    with pytest.raises(LoadError, match=r"cannot contain NUL, and there are some in one, two.*--nul strip"):
        load(spark, database, query.replace(", named_struct('s', 'a\\0') AS three", ""))
    with pytest.raises(LoadError, match='column "three": unsupported Unicode escape sequence'):
        load(spark, database, "SELECT named_struct('s', 'a\\0') AS three")
    load(spark, database, query + ", named_struct('s', '\\\\u0000') AS four", nul="strip")
    assert session.run("SELECT fine, one, two::text, three::text, four->>'s' FROM t") == [
        ["a", "ab", '{x,""}', '{"s": "a"}', "\\u0000"]
    ]


def test_strings_of_a_megabyte_do_not_fill_a_worker(spark: SparkSession, session: Session, database: Settings) -> None:
    rows = spark.range(0, 200, 1, 1).selectExpr("id", "repeat(chr(CAST(65 + id % 26 AS int)), 1000000) AS s")
    run(LoadJob(TableName("t"), database, "x"), lambda: rows)
    assert session.run("SELECT count(*), sum(length(s)) FROM t") == [[200, 200_000_000]]


def test_four_hundred_columns_with_long_names(spark: SparkSession, session: Session, database: Settings) -> None:
    names = [f'{index:03} "quoted" name, with spaces and é'.ljust(62, "x") for index in range(400)]
    assert {len(name.encode()) for name in names} == {63}
    columns = [f"{index} AS `{name}`" for index, name in enumerate(names)]
    job = LoadJob(TableName("t"), database, "x")
    run(job, lambda: spark.range(3).selectExpr(*columns))
    total = " + ".join(f"sum({quote_name(name)})" for name in names)
    assert session.run(f"SELECT {total} FROM t") == [[3 * sum(range(400))]]
