"""A table of all types, extracted and loaded into a copy, is equal to the first: by both decoders, in SQL."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from drawn import drawn
from extracts import extracted
from hypothesis import strategies as st
from pyspark.sql import SparkSession
from pyspark.sql import types as t
from server_build import server_has_xml
from spark_settings import spark_settings
from texts import STRINGS

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ExtractError, UsageError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.dataframe import load_dataframe

DECODERS = pytest.mark.parametrize("arrow", [True, False], ids=["arrow", "spark"])

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'glad', 'it''s "\\ ,');
CREATE TYPE pair AS (a int, b text);
CREATE TYPE entry AS (
    n numeric(10,2), "any" numeric, at timestamptz, day date, f float8, flag boolean, raw bytea, tags text[], "In" pair,
    pairs pair[]
);
CREATE DOMAIN cents AS numeric(12,2);
CREATE DOMAIN label AS varchar(50);
CREATE DOMAIN row_of_ints AS int[];
CREATE DOMAIN vector AS real[] CHECK (cardinality(VALUE) = 3)
"""


def day(latest: int) -> st.SearchStrategy[str]:
    """A day from the server's first on (4714-11-24 BC), by its number, as PostgreSQL takes it."""
    return st.integers(0, latest).map(lambda number: f"J{number}")


def moment(zone: str = "") -> st.SearchStrategy[str]:
    """Of years up to 294246: what is later overflows Spark's timestamps."""
    days = day(109_191_000) | st.integers(2_450_000, 2_462_000).map(lambda number: f"J{number}")
    return st.tuples(days, st.times()).map(lambda both: f"{both[0]} {both[1].isoformat()}{zone}")


def decimal(digits: int, scale: int) -> st.SearchStrategy[str]:
    return st.integers(-(10**digits) + 1, 10**digits - 1).map(lambda number: f"{number}e{-scale}")


def grid(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Two dimensions: as many columns in each row."""
    return st.integers(1, 3).flatmap(
        lambda width: st.lists(st.lists(values, min_size=width, max_size=width), max_size=3)
    )


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values | st.none(), max_size=4)


def hstore(pairs: dict[str, str | None]) -> str:
    """As PostgreSQL takes it."""

    def quoted(text: str | None) -> str:
        return "NULL" if text is None else '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'

    return ", ".join(f"{quoted(key)} => {quoted(value)}" for key, value in pairs.items())


FLOATS = st.floats().map(str)
BYTES = st.binary(max_size=40).map(lambda data: f"\\x{data.hex()}")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | STRINGS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(STRINGS, inner, max_size=2),
    max_leaves=4,
)
PAIRS: st.SearchStrategy[Any] = st.builds(dict, a=st.integers(-9, 9) | st.none(), b=STRINGS | st.none())
ENTRIES: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "n": decimal(10, 2) | st.none(),
        "any": decimal(60, 20) | st.none(),
        "at": moment("+00") | st.none(),
        "day": day(5_373_484) | st.none(),
        "f": FLOATS | st.none(),
        "flag": st.booleans() | st.none(),
        "raw": BYTES | st.none(),
        "tags": lists(STRINGS) | st.none(),
        "In": PAIRS | st.none(),
        "pairs": lists(PAIRS) | st.none(),
    }
)
MOODS = st.sampled_from(["sad", "glad", "it's \"\\ ,"])
HSTORES = st.dictionaries(STRINGS, STRINGS | st.none(), max_size=3).map(hstore)
INT4 = st.integers(-(2**31), 2**31 - 1)

# Type -> values, as JSON that json_populate_recordset takes for it.
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "smallint": st.integers(-(2**15), 2**15 - 1),
    "integer": INT4,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "real": st.floats(width=32).map(str),
    "double precision": FLOATS,
    "numeric(38,10)": decimal(38, 10),
    "numeric(38,0)": decimal(38, 0),
    "numeric": decimal(60, 20) | st.sampled_from(["NaN", "Infinity", "-Infinity", "1e300", "1.000"]),
    "numeric(3,-2)": decimal(3, -2),
    "numeric(2,5)": decimal(2, 5),
    "cents": decimal(12, 2),
    "text": STRINGS,
    "varchar(50)": STRINGS,
    "label": STRINGS,
    "character(20)": STRINGS.map(lambda text: text[:20]),
    '"char"': st.sampled_from(["", "a", "\\", "\t", "\n"]),
    "name": STRINGS.map(lambda text: text[:15]),
    "bytea": BYTES,
    "date": day(2_140_000_000) | day(5_373_484),
    "timestamp": moment(),
    "timestamptz": moment("+00"),
    "time": st.times().map(str),
    "timetz": st.tuples(st.times(), st.integers(-15, 15)).map(lambda both: f"{both[0]}{both[1]:+03d}:30"),
    "interval": st.tuples(st.integers(-(10**6), 10**6), INT4, st.integers(-(10**15), 10**15)).map(
        # PostgreSQL 14 reads no number of more than 32 bits in an interval
        lambda parts: f"{parts[0]} months {parts[1]} days {Decimal(parts[2]).scaleb(-6):f} seconds"
    ),
    "uuid": st.uuids().map(str),
    "json": JSON,
    "jsonb": JSON,
    "mood": MOODS,
    "pair": PAIRS,
    "entry": ENTRIES,
    "hstore": HSTORES,
    "int4range": st.sampled_from(["empty", "[1,5)", "(,7]", "[3,)"]),
    "int4multirange": st.sampled_from(["{}", "{[1,5),[7,)}"]),
    "tstzrange": st.sampled_from(["empty", '["2026-11-01 01:30-04","2026-11-01 01:30-05")', "(-infinity,infinity)"]),
    "money": st.integers(-(10**12), 10**12).map(lambda number: f"{number / 100:.2f}"),
    "bit(5)": st.integers(0, 31).map(lambda number: f"{number:05b}"),
    "bit varying": st.integers(0, 10**9).map(lambda number: f"{number:b}"),
    "inet": st.ip_addresses().map(str),
    "cidr": st.sampled_from(["10.0.0.0/8", "2001:db8::/32"]),
    "macaddr": st.just("08:00:2b:01:02:03"),
    "macaddr8": st.just("08:00:2b:01:02:03:04:05"),
    "xml": st.sampled_from(["<a>\n\t&lt;</a>", "text", "<é/>"]),
    "tsvector": st.sampled_from(["'a':1A 'it''s':2 '\\\\':3", ""]),
    "tsquery": st.sampled_from(["'a' & !'b' <-> 'c'"]),
    "pg_lsn": st.sampled_from(["0/0", "FFFFFFFF/FFFFFFFF"]),
    "oid": st.integers(0, 2**32 - 1),
    "point": st.sampled_from(["(1,2)", "(NaN,-Infinity)", "(0.1,1e-300)"]),
    "path": st.sampled_from(["[(0,0),(1,1)]", "((0,0),(1,1))"]),
    "circle": st.just("<(0,0),1.5>"),
    "vector": st.lists(st.floats(width=32).map(str), min_size=3, max_size=3),
    "row_of_ints": lists(INT4),
    "boolean[]": lists(st.booleans()),
    "integer[]": lists(INT4),
    "double precision[]": lists(FLOATS),
    "numeric(12,2)[]": lists(decimal(12, 2)),
    "numeric[]": lists(decimal(60, 20)),
    "text[]": lists(STRINGS),
    "text[][]": grid(STRINGS | st.none()),
    "integer[][][]": grid(st.lists(INT4, min_size=2, max_size=2)),
    "bytea[]": lists(BYTES),
    "date[]": lists(day(5_373_484)),
    "timestamp[]": lists(moment()),
    "timestamptz[]": lists(moment("+00")),
    "uuid[]": lists(st.uuids().map(str)),
    "json[]": lists(JSON.map(json.dumps)),
    "xml[]": lists(st.just("<a>,\"'</a>")),
    "point[]": lists(st.just("(1,2)")),
    "interval[]": lists(st.just("1 mon -2 days +03:00:00.000001")),
    "cents[]": lists(decimal(12, 2)),
    "mood[]": lists(MOODS),
    "pair[]": lists(PAIRS),
    "entry[]": lists(ENTRIES),
    "hstore[]": lists(HSTORES),
}
SINCE = {"int4multirange": 140000, "numeric(3,-2)": 150000, "numeric(2,5)": 150000}
"""server_version_num of the first that has a type."""


def known_to(session: Session) -> set[str]:
    [[version]] = session.run("SELECT current_setting('server_version_num')::int")
    known = {name for name in VALUES if SINCE.get(name, 0) <= version}
    there = {"xml": server_has_xml(session), "hstore": has_hstore(session)}
    lacking = [name for name, is_there in there.items() if not is_there]
    return known - {f"{name}{suffix}" for name in lacking for suffix in ("", "[]")}


def has_hstore(session: Session) -> bool:
    """Whether the server has it. It is created then."""
    if not session.run("SELECT 1 FROM pg_available_extensions WHERE name = 'hstore'"):
        return False
    session.run("CREATE EXTENSION hstore")
    return True


def copied(spark: SparkSession, session: Session, database: Settings, wanted: Wanted | str, arrow: bool) -> list[Any]:
    """Extract, load into a copy of the table t, and give the rows that one of the two has more of than the other."""
    session.run("DROP TABLE IF EXISTS copy; CREATE TABLE copy (LIKE t)")
    with extracted(spark, database, wanted, arrow) as df:
        load_dataframe(df, table="copy", settings=database)
    left, right = "SELECT t::text FROM t", "SELECT copy::text FROM copy"  # as text, for some types know no =
    return session.run(f"({left} EXCEPT ALL {right}) UNION ALL ({right} EXCEPT ALL {left})")


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    return {name: drawn(values | st.none(), 80) for name, values in VALUES.items()}


@DECODERS
def test_any_row_of_all_types_comes_back_equal(
    spark: SparkSession, session: Session, database: Settings, columns: dict[str, list[Any]], arrow: bool
) -> None:
    known = known_to(session)
    session.run(TYPES)
    types = [f"c{place} {name}" for place, name in enumerate(columns) if name in known]
    session.run(f"CREATE TABLE t (id int, {', '.join(types)})")
    most = max(map(len, columns.values()))
    rows = [
        {"id": row, **{f"c{place}": values[row % len(values)] for place, values in enumerate(columns.values())}}
        for row in range(most)
    ]
    session.run("INSERT INTO t SELECT * FROM json_populate_recordset(NULL::t, %s::json)", json.dumps(rows))
    assert copied(spark, session, database, "t", arrow) == []


MOMENTS = """
CREATE TABLE t AS SELECT n AS id, (date '4713-01-01 BC' + n * 1000003)::date AS d,
    timestamp '4713-01-01 BC' + n * interval '51001 days 01:02:03.000007' AS tn,
    timestamptz '2026-11-01 00:00-04' + n * interval '7 min 0.000001 s' AS tz
FROM generate_series(0, 1000) n
"""


@DECODERS
def test_timestamps_are_the_servers_own_in_every_year_and_in_an_hour_that_comes_twice(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run(MOMENTS)
    with extracted(spark, database, "t", arrow) as df:
        seconds = "unix_micros(CAST(tn AS timestamp))"
        with spark_settings(spark, {"spark.sql.session.timeZone": "UTC"}):  # a time without zone is what it says
            found = df.selectExpr("id", "unix_date(d)", seconds, "unix_micros(tz)").orderBy("id").collect()
    micros = "(extract(epoch FROM {}) * 1000000)::bigint"
    asked = f"SELECT id, d - date '1970-01-01', {micros.format('tn')}, {micros.format('tz')} FROM t ORDER BY id"
    assert [list(row) for row in found] == session.run(asked)


UNHELD = {
    "date": "'infinity'",
    "timestamp": "'-infinity'",
    "timestamptz": "'infinity'",
    "timestamp(3)": "'294270-01-01'",
    "numeric(10,2)": "'NaN'",
    "date[]": "'{infinity}'",
    "int[]": "'[0:1]={1,2}'",
    "text[]": "'{{1,2},{3,4}}'",
}
"""Type -> a value that its equal in Spark does not hold."""


@pytest.fixture
def unheld(session: Session) -> None:
    columns = ", ".join(f'"a {kind}" {kind}' for kind in UNHELD)
    session.run(f"CREATE TABLE t (n int, {columns})")
    session.run("INSERT INTO t (n) VALUES (1)")
    session.run(f"INSERT INTO t VALUES (2, {', '.join(UNHELD.values())})")


@DECODERS
@pytest.mark.usefixtures("unheld")
def test_a_value_that_spark_cannot_hold_is_refused_by_its_columns_name(
    spark: SparkSession, database: Settings, arrow: bool
) -> None:
    for kind in UNHELD:
        wanted = Wanted(TableName("t"), columns=(f"a {kind}",))
        with pytest.raises(ExtractError) as caught, extracted(spark, database, wanted, arrow) as df:
            df.collect()
        told = str(caught.value)
        assert told.startswith(f'The column "a {kind}" holds a value that its type in Spark cannot: ')
        assert told.endswith(f" Read it as text: --text-columns a {kind}.")


@DECODERS
@pytest.mark.usefixtures("unheld")
def test_a_value_that_spark_cannot_hold_comes_back_equal_as_text(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    wanted = Wanted(TableName("t"), text_columns=tuple(f"a {kind}" for kind in UNHELD))
    assert copied(spark, session, database, wanted, arrow) == []


@DECODERS
def test_null_the_text_null_and_the_empty_text_stay_apart(
    spark: SparkSession, session: Session, database: Settings, arrow: bool
) -> None:
    session.run("CREATE TABLE t (a text)")
    session.run(r"INSERT INTO t VALUES (NULL), ('NULL'), (''), ('\N'), ('\\N')")
    with extracted(spark, database, "t", arrow) as df:
        assert {row.a for row in df.collect()} == {None, "NULL", "", "\\N", "\\\\N"}


@pytest.mark.parametrize(
    ("unbounded", "spark_type"),
    [
        ("text", t.StringType()),
        ("fit", t.DecimalType(6, 3)),
        ("decimal(38,9)", t.DecimalType(38, 9)),
    ],
)
def test_unbounded_numeric_becomes_what_is_wished_and_comes_back_equal(
    spark: SparkSession, session: Session, database: Settings, unbounded: str, spark_type: t.DataType
) -> None:
    session.run("CREATE TABLE t (n numeric); INSERT INTO t VALUES (123.4), (-0.001), (NULL)")
    wanted = Wanted(TableName("t"), unbounded=unbounded)
    with extracted(spark, database, wanted) as df:
        assert df.schema["n"].dataType == spark_type
        load_dataframe(df, table="copy", settings=database)
    assert session.run("SELECT count(*) FROM t JOIN copy ON t.n = copy.n::numeric") == [[2]]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e38", "1e-39"])
def test_numeric_that_fits_no_decimal_comes_as_text(
    spark: SparkSession, session: Session, database: Settings, value: str
) -> None:
    session.run(f"CREATE TABLE t (n numeric); INSERT INTO t VALUES (1), ('{value}')")
    with extracted(spark, database, Wanted(TableName("t"), unbounded="fit")) as df:
        assert df.schema["n"].dataType == t.StringType()


@DECODERS
@pytest.mark.parametrize("value", ["1e30", "0.001", "NaN"])
def test_numeric_that_would_lose_digits_in_the_wished_decimal_is_refused(
    spark: SparkSession, session: Session, database: Settings, value: str, arrow: bool
) -> None:
    session.run(f"CREATE TABLE t (n numeric); INSERT INTO t VALUES ('{value}')")
    wanted = Wanted(TableName("t"), unbounded="decimal(20,2)")
    with pytest.raises(ExtractError, match='column "n" holds'), extracted(spark, database, wanted, arrow) as df:
        df.collect()


@pytest.mark.parametrize("unbounded", ["decimal", "decimal(39,0)", "decimal(5,6)", "double"])
def test_what_is_no_decimal_is_refused(
    spark: SparkSession, session: Session, database: Settings, unbounded: str
) -> None:
    session.run("CREATE TABLE t (n numeric)")
    wanted = Wanted(TableName("t"), unbounded=unbounded)
    with pytest.raises(UsageError, match="is not a decimal"), extracted(spark, database, wanted):
        pass
