"""No row is so wide that HotSpot would interpret its encoding."""

from __future__ import annotations

import re
from itertools import count

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.copyformat.encode_spark import encode
from jobs.copyformat.match_columns import match_new
from jobs.copyformat.whole_stage import ENCODING, is_wide

MOST_COMPILED = 8_000
"""Bytes of a method that HotSpot still compiles: HugeMethodLimit in its globals.hpp."""

TYPES = ("bigint", "decimal(38,18)", "string", "binary", "date", "timestamp", "timestamp_ntz", "interval day to second")


def lines(spark: SparkSession, kind: str, columns: int) -> DataFrame:
    rows = spark.createDataFrame([], ", ".join(f"c{number} {kind}" for number in range(columns)))
    return encode(rows, match_new(rows.schema))


def longest_method(frame: DataFrame, capsys: pytest.CaptureFixture[str]) -> int:
    frame.explain("codegen")
    return max(map(int, re.findall(r"maxMethodCodeSize:(\d+)", capsys.readouterr().out)), default=0)


@pytest.mark.parametrize("kind", TYPES)
def test_the_widest_row_of_one_generated_stage_is_still_compiled(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    data_type = spark.createDataFrame([], f"c {kind}").schema[0].dataType
    widest = next(columns for columns in count(1) if is_wide([data_type] * (columns + 1), ENCODING))
    assert 0 < longest_method(lines(spark, kind, widest), capsys) < MOST_COMPILED


@pytest.mark.parametrize("columns", [40, 400])
def test_a_wider_row_is_encoded_outside_of_it(
    spark: SparkSession, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    assert longest_method(lines(spark, "string", columns), capsys) < MOST_COMPILED


def test_wide_and_narrow_rows_are_encoded_alike(spark: SparkSession) -> None:
    values = ["\t\\\n", None] * 20
    rows = spark.createDataFrame([values], ", ".join(f"c{number} string" for number in range(40)))
    [[line]] = encode(rows, match_new(rows.schema)).collect()
    assert line == "\t".join(["\\t\\\\\\n", "\\N"] * 20) + "\n"
