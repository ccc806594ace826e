"""Bytes that are not UTF-8 are refused by their column, on every way, and never become U+FFFD."""

from __future__ import annotations

from pathlib import Path

import pytest
from pgcopies import options_for
from pyspark.sql import SparkSession
from streams import HAS_SINK

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.session import Session
from jobs.flows.load.dataframe import load_dataframe

BAD = "cast(x'61ff62' AS string)"


@pytest.mark.parametrize(
    "value",
    [
        BAD,
        f"array('a', {BAD})",
        f"named_struct('s', {BAD})",
        f"map('k', {BAD})",
        f"map({BAD}, 1)",
        f"array(named_struct('s', array({BAD})))",
        "cast(x'eda080' AS string)",
    ],
    ids=["string", "array", "struct", "map", "key", "nested", "surrogate"],
)
def test_a_load_refuses_bytes_that_are_not_utf8_by_their_column(
    spark: SparkSession, session: Session, database: Settings, value: str
) -> None:
    rows = spark.range(3).selectExpr("id", "'fine \ufffd' AS fine", f"{value} AS bad")
    with pytest.raises(LoadError, match=r"^Text in bad holds bytes that are not UTF-8\."):
        load_dataframe(rows, table="t", settings=database)
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_a_replacement_character_is_text_like_any_other(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    load_dataframe(spark.sql("SELECT 'a\ufffdb' AS s, named_struct('f', '\ufffd') AS j"), table="t", settings=database)
    assert session.run("SELECT s, j->>'f' FROM t") == [["a\ufffdb", "\ufffd"]]


@pytest.mark.parametrize("value", [BAD, f"array('a', {BAD})"], ids=["string", "array"])
def test_pgcopy_refuses_bytes_that_are_not_utf8_by_their_column(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path, value: str
) -> None:
    pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")
    rows = spark.range(3).selectExpr("id", "'fine' AS fine", f"{value} AS bad")
    with pytest.raises(Exception, match="The column 'bad' holds bytes that are not UTF-8"):
        rows.write.format("pgcopy").options(**options_for(database, tmp_path), table="t").mode("append").save()
    assert session.run("SELECT to_regclass('t')") == [[None]]


@pytest.mark.skipif(not HAS_SINK, reason="pgcopy writes streams from Spark 4.1 on")
def test_a_stream_refuses_bytes_that_are_not_utf8_by_their_column(
    spark: SparkSession, session: Session, database: Settings, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.txt").write_bytes(b"a\xffb\n")
    lines = spark.readStream.text(str(tmp_path / "in"))
    options = {
        **options_for(database, tmp_path),
        "table": "t",
        "streamId": "s",
        "checkpointLocation": str(tmp_path / "c"),
    }
    query = lines.writeStream.format("pgcopy").options(**options).trigger(availableNow=True).start()
    with pytest.raises(Exception, match="The column 'value' holds bytes that are not UTF-8"):
        query.awaitTermination()
    assert session.run("SELECT to_regclass('t')") == [[None]]


def test_columns_whose_names_differ_in_case_alone_are_two(
    spark: SparkSession, session: Session, database: Settings
) -> None:
    load_dataframe(spark.sql("SELECT 1 AS a, 'x' AS A"), table="t", settings=database)
    assert session.run('SELECT a, "A" FROM t') == [[1, "x"]]
