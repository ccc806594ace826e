"""Characters that the server cannot store: only these are removed or replaced, and otherwise their column is named."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe
from jobs.spark.nul import Cleaning, characters_of, cleaned

BAD = "cast(concat(x'61', x'00', x'ff', x'efbfbd', x'c3a9', x'09', x'5c') AS string)"
"""a, NUL, a byte that is no UTF-8, U+FFFD, an e with an accent, a tab, a backslash."""

AROUND_NUL = "cast(x'c300a9' AS string)"
"""Bytes that would be a character without the NUL between them."""


def bad_rows(spark: SparkSession) -> DataFrame:
    return spark.sql(
        f"SELECT 1 AS id, {BAD} AS s, {AROUND_NUL} AS n, array({BAD}, NULL) AS a, "
        f"named_struct('k', {BAD}, 'K', array(named_struct('n', 7, 's', {BAD}))) AS j, map({BAD}, {BAD}) AS m, "
        "x'00ff' AS b, cast(NULL AS string) AS none UNION ALL SELECT 2, 'x', '', array(), NULL, NULL, NULL, '\\\\u0000'"
    )


@pytest.mark.parametrize(
    ("nul", "text", "around"),
    [("strip", "a\ufffd\u00e9\t\\", ""), ("replace", "a\ufffd\ufffd\ufffd\u00e9\t\\", "\ufffd\ufffd\ufffd")],
)
def test_only_what_the_server_cannot_store_is_changed_at_any_depth(
    spark: SparkSession, session: Session, database: Settings, nul: str, text: str, around: str
) -> None:
    report = load_dataframe(bad_rows(spark), table="t", settings=database, nul=nul, verify=True)
    assert report.verified is not None
    assert session.run("SELECT s, n, a, j, m, encode(b, 'hex'), none FROM t ORDER BY id") == [
        [text, around, [text, None], {"k": text, "K": [{"n": 7, "s": text}]}, {text: text}, "00ff", None],
        ["x", "", [], None, None, None, "\\u0000"],
    ]


def test_a_row_with_such_a_character_is_put_aside_where_bad_rows_are(spark: SparkSession, database: Settings) -> None:
    rows = bad_rows(spark).select("id", "s")
    report = load_dataframe(rows, table="t", settings=database, on_error="quarantine")
    assert (report.rows_inserted, report.rows_rejected) == (1, 1)
    with pytest.raises(UsageError, match="--nul 'drop' is none of error, strip, replace"):
        load_dataframe(rows, table="t", settings=database, nul="drop")


def test_a_variant_has_no_nul_either(spark: SparkSession, session: Session, database: Settings) -> None:
    if spark.version < "4":
        pytest.skip("Spark has variant from 4.0 on")
    rows = spark.sql("""SELECT parse_json('{"a": "x\\\\u0000y", "n": [1, null]}') AS v""")
    load_dataframe(rows, table="t", settings=database, nul="replace")
    assert session.run("SELECT v FROM t") == [[{"a": "x\ufffdy", "n": [1, None]}]]


@pytest.fixture
def latin1(server: Settings) -> Iterator[Settings]:
    """A database that holds the characters of LATIN1 alone."""
    name = f"pgjobs_{uuid.uuid4().hex[:12]}"
    with connect(server, "encodings") as admin:
        admin.run(f"CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
        yield replace(server, dbname=name)
        admin.run(f"DROP DATABASE {name} WITH (FORCE)")


def test_what_the_encoding_of_the_database_lacks_is_told_removed_or_replaced(
    spark: SparkSession, latin1: Settings
) -> None:
    rows = spark.sql("SELECT 'fine' AS f, 'Z\u00fcrich \u20ac \u6771\U0001f600' AS s, array('\u20ac', '\ufffd') AS a")
    with pytest.raises(LoadError, match=r"^Text in s, a holds a character that the encoding of the database lacks\."):
        load_dataframe(rows, table="t", settings=latin1)
    for nul in ("strip", "replace"):
        load_dataframe(rows, table="t", settings=latin1, nul=nul, verify=True)
    with connect(latin1, "check") as check:
        assert check.run("SELECT f, s, a FROM t ORDER BY length(s)") == [
            ["fine", "Z\u00fcrich  ", ["", ""]],
            ["fine", "Z\u00fcrich ? ??", ["?", "?"]],
        ]


def test_the_characters_of_the_data_are_those_of_all_text(spark: SparkSession) -> None:
    rows = spark.sql(
        "SELECT 'a\u20ac' AS s, array('\U0001f600', NULL) AS a, named_struct('f', '\u00fc\u00fc') AS j, 1 AS n"
    )
    assert characters_of(rows.union(rows)) == "\u00fc\u20ac\U0001f600"
    assert characters_of(spark.range(1)) == ""


def test_columns_keep_their_names_and_places(spark: SparkSession) -> None:
    rows = cleaned(spark.sql("SELECT 'x\\0' AS a, 1 AS b, 'y\\0' AS A, array('z\\0') AS `c d`"), Cleaning(""), ["A"])
    assert rows.columns == ["a", "b", "A", "c d"]
    assert [list(row) for row in rows.collect()] == [["x", 1, "y\0", ["z"]]]
