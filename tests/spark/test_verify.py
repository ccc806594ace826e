"""A load that is to prove itself does, for every type that it takes and every mode; and fails where a cell differs."""

from __future__ import annotations

from decimal import Decimal

import pytest
from drawn import drawn
from faults import Cut, cuts_on_the_way_to
from hypothesis import strategies as st
from kinds import INSTANTS, KINDS, LOCAL, MICROS, TWICE
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import types as t
from server_build import server_has_xml
from texts import STRINGS

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.verify import VerificationFailed
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.flows.report import LoadReport

NAMES = {name: f"c{place}" for place, name in enumerate(KINDS)}
ROW = st.tuples(*(kind.values | st.none() for kind in KINDS.values()))
MADE_JSONB = {"struct", "map", "array of structs"}


def load(df: DataFrame, database: Settings, mode: str = "append", load_id: str | None = None) -> LoadReport:
    keys = ("id",) if mode in ("upsert", "ignore") else ()
    return load_dataframe(df, table="t", settings=database, mode=mode, keys=keys, load_id=load_id, verify=True)


def compared(report: LoadReport) -> tuple[int, set[str], set[str]]:
    """How many rows, which columns, and which columns not."""
    assert report.verified is not None
    return report.verified.rows, set(report.verified.columns), set(report.verified.not_compared)


def test_no_value_of_any_type_is_a_false_alarm(spark: SparkSession, database: Settings) -> None:
    fields = [t.StructField(NAMES[name], kind.spark_type) for name, kind in KINDS.items()]
    schema = t.StructType([t.StructField("id", t.IntegerType()), *fields])
    left_out = {NAMES[name] for name in MADE_JSONB}

    rows = drawn(ROW, 100)
    df = spark.createDataFrame([(place, *row) for place, row in enumerate(rows)], schema)
    assert compared(load(df, database)) == (len(rows), {"id", *NAMES.values()} - left_out, left_out)


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**6), max_value=10**6)
TINY = st.sampled_from([Decimal(text) for text in ("0", "1E-10", "-1.2E-9", "0.0050000000", "-0.0049999999", "2.5")])
DOUBLES = st.floats(-1e30, 1e30) | st.sampled_from([0.0, -0.0, float("inf"), 1e-30, 16777217.0, 0.1])
CASTS = {
    "numeric(10,2)": ("decimal(38,10)", DECIMALS | TINY),
    "numeric": ("decimal(38,10)", DECIMALS | TINY),
    "numeric(12,0)": ("decimal(38,10)", DECIMALS | TINY),
    "numeric(14,6)": ("decimal(38,10)", DECIMALS | TINY),
    "numeric(14,7)": ("decimal(38,10)", DECIMALS | TINY),
    "numeric(20,5)": ("bigint", st.integers(-(10**14), 10**14)),
    "smallint": ("bigint", st.integers(-(2**15), 2**15 - 1)),
    "bigint": ("decimal(18,0)", st.integers(-(10**17), 10**17).map(Decimal)),
    "double precision": ("decimal(38,10)", DECIMALS | TINY),
    "float8": ("float", st.floats(width=32)),
    "real": ("double", st.floats(width=32)),
    "float4": ("int", st.integers(-(2**31), 2**31 - 1)),
    "char(60)": ("string", STRINGS),
    "varchar(60)": ("string", STRINGS),
    "bpchar": ("boolean", st.booleans()),
    "text": ("decimal(38,10)", DECIMALS | TINY),
    "varchar": ("date", st.dates()),
    "varchar(99)": ("timestamp", INSTANTS | TWICE),
    "char(70)": ("double", DOUBLES),
    "timestamp(3)": ("timestamp_ntz", LOCAL),
    "timestamptz(0)": ("timestamp", INSTANTS | TWICE),
    "timestamp": ("timestamp", INSTANTS | TWICE),
    "timestamptz": ("date", st.dates()),
    "json": ("struct<a: bigint, b: string>", st.tuples(st.integers(-9, 9), STRINGS)),
    "uuid": ("string", st.uuids().map(str) | st.uuids().map(lambda u: f"{{{u.hex.upper()}}}")),
    "mood": ("string", st.sampled_from(["sad", "ok"])),
    "numeric(9,1)[]": ("array<decimal(38,10)>", st.lists(DECIMALS | TINY, max_size=3)),
    "varchar(60)[]": ("array<string>", st.lists(STRINGS | st.none(), max_size=3)),
    "timestamp(1)[]": ("array<timestamp>", st.lists(INSTANTS | st.none(), max_size=3)),
    "float8[]": ("array<array<float>>", st.lists(st.tuples(*[st.floats(width=32)] * 2).map(list), max_size=3)),
    "bool[]": ("array<boolean>", st.lists(st.booleans() | st.none(), max_size=3)),
    "interval": ("bigint", MICROS),  # microseconds, of which the test makes an interval
    "small": ("int", st.integers(0, 9)),
}
"""By the column's type: Spark's, and values. What the column changes of them is no difference."""

UNFORESEEN = {
    "jsonb": ("string", st.just('{"b": 1, "a": 1.0}')),
    "numeric(30,5)": ("double", st.floats(-1e9, 1e9)),
    "date": ("string", st.just("2026-11-20")),
    "xml": ("string", st.just("<a/>")),
    "price": ("decimal(9,4)", st.just(Decimal("1.2345"))),
    "jsonb[]": ("array<string>", st.just(['{"a":1}'])),
}
"""Likewise; the server writes them anew, or a domain hides what it rounds to."""


def test_what_a_column_changes_of_values_is_no_false_alarm(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    session.run("CREATE DOMAIN small AS int CHECK (VALUE < 10); CREATE DOMAIN price AS numeric(5,1)")
    kinds = {**CASTS, **UNFORESEEN}
    if not server_has_xml(session):
        del kinds["xml"]
    columns = {f"c{place}": kind for place, kind in enumerate(kinds)}
    session.run(f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    schema = ", ".join(f"{name} {kinds[kind][0]}" for name, kind in columns.items())
    unforeseen = {name for name, kind in columns.items() if kind in UNFORESEEN}
    [interval] = (name for name, kind in columns.items() if kind == "interval")

    rows = drawn(st.tuples(*(values | st.none() for _, values in kinds.values())), 100)
    df = spark.createDataFrame(rows, schema)
    df = df.selectExpr(
        *(f"INTERVAL '0.000001' SECOND * {name} AS {name}" if name == interval else name for name in df.columns)
    )
    assert compared(load(df, database)) == (len(rows), set(columns) - unforeseen, unforeseen)


def test_years_and_intervals_far_away_are_no_false_alarms(spark: SparkSession, database: Settings) -> None:
    years = spark.createDataFrame([[year] for year in (-4712, -1, 0, 1, 1969, 2026, 9999, 10_000, 294_246)], "y int")
    df = years.selectExpr(
        "y",
        "make_date(y, 3, 15) AS d",
        "make_timestamp_ntz(y, 3, 15, 1, 2, 3.000004) AS n",
        "IF(y > 9998, NULL, timestamp_micros(unix_date(make_date(y, 3, 15)) * 86400000000L - 4)) AS z",
        "make_ym_interval(0, y) AS months",
        "make_dt_interval(-y, 1, -2, 3.000004) AS days",
    )
    assert compared(load(df, database)) == (9, set(df.columns), set())


def numbers(spark: SparkSession, start: int, rows: int) -> DataFrame:
    return spark.range(start, start + rows, 1, 3).selectExpr("id", "concat('w', id % 7) AS word", "id / 8 AS f")


@pytest.mark.parametrize(("mode", "rows"), [("append", 300), ("overwrite", 300), ("upsert", 300), ("ignore", 250)])
def test_each_mode_tells_what_it_verified(
    spark: SparkSession, session: Session, database: Settings, mode: str, rows: int
) -> None:
    """Of an upsert and of ignore, what was inserted or updated."""
    session.run("CREATE TABLE t (id bigint, word text, f float8, more int DEFAULT 1)")
    if mode in ("upsert", "ignore"):
        session.run("ALTER TABLE t ADD PRIMARY KEY (id)")
    session.run("INSERT INTO t SELECT n, 'old' FROM generate_series(0, 99) n")
    report = load(numbers(spark, 50, 300), database, mode)
    assert compared(report) == (rows, {"id", "word", "f"}, set())
    assert f"verified: {rows} rows in 3 columns" in report.summary()


def test_a_trigger_that_changes_one_cell_of_one_row_keeps_the_load_out(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    session.run("CREATE TABLE t (id bigint, word text, f float8)")
    session.run(
        "CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.id = 77 THEN NEW.f := NEW.f + 1e-12; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER change BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION change()"
    )
    with pytest.raises(VerificationFailed, match=r"the 300 rows of public\.t do not have the values"):
        load(numbers(spark, 0, 300), database, load_id="x")
    assert session.run("SELECT count(*) FROM t") == [[0]]
    assert session.run("SELECT tablename FROM pg_tables WHERE tablename LIKE 'pgjobs%'") == []
    session.run("DROP TRIGGER change ON t")
    assert compared(load(numbers(spark, 0, 300), database, load_id="x"))[0] == 300


def test_attempts_that_are_thrown_away_are_not_counted(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    cuts = [Cut("pgjobs load part 1 ", b"COMMIT", answered=True), Cut("pgjobs load part 2 ", b"UPDATE ")]
    with cuts_on_the_way_to(database, *cuts) as way:
        report = load(numbers(spark, 0, 300), way)
    assert [len(cut.cut) for cut in cuts] == [1, 1]
    assert report.attempts_discarded > 0
    assert compared(report)[0] == 300
    assert session.run("SELECT count(*) FROM t") == [[300]]


def test_text_without_its_nuls_is_expected_where_they_are_stripped(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    df = spark.sql("SELECT concat('a', char(0), 'b') AS s, array(concat(char(0), 'c')) AS ss")
    report = load_dataframe(df, table="t", settings=database, strip_nul=True, verify=True)
    assert compared(report) == (1, {"s", "ss"}, set())
    assert session.run("SELECT s, ss FROM t") == [["ab", ["c"]]]
