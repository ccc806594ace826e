"""Numbers with separators of thousands: Spark leaves them out wherever they stand, and 1,5 would be 15."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.dbaccess.errors import LoadError
from jobs.flows.load.files import Files, read

Reads = Callable[..., list[Any]]

AMOUNTS = "id INT, amount DECIMAL(10,2)"


@pytest.fixture
def reads(spark: SparkSession, tmp_path: Path) -> Reads:
    """Return the values of the last column."""

    def run(file_format: str, text: str, *options: str, schema: str = AMOUNTS) -> list[Any]:
        (tmp_path / f"a.{file_format}").write_text(text)
        df = read(spark, Files([str(tmp_path)], file_format, options, schema)).df
        return [row[-1] for row in df.collect()]

    return run


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("1;2.5\n2;1,5\n", ("sep=;",)),
        ("1;1,500\n", ("sep=;",)),
        ('1,"-11,50"\n', ()),
        ("1;1.5\n", ("sep=;", "locale=de-DE")),
        ("1;1,5\n", ("sep=;", "mode=PERMISSIVE")),
    ],
)
def test_a_number_that_spark_would_read_as_another_one_is_refused(
    reads: Reads, text: str, options: tuple[str, ...]
) -> None:
    with pytest.raises(LoadError, match=r"/a\.csv has a number with '[,.]' in amount, and Spark would read 1.5 as 15"):
        reads("csv", text, *options)


def test_decimals_that_spark_infers_by_a_locale_are_none_with_other_points(reads: Reads) -> None:
    with pytest.raises(LoadError, match=r"in größe, and Spark would read 1\.5 as 15"):
        reads("csv", "größe;b\n1.5;x\n", "sep=;", "header=true", "inferSchema=true", "locale=de-DE", schema="")


@pytest.mark.parametrize(
    ("text", "options", "amounts"),
    [
        ("1;1,234.50\n2;-1,234,567\n3;\n4;2.5\n", ("sep=;",), ["1234.50", "-1234567", None, "2.5"]),
        ("1;1,5\n2;1.500\n3;1.234,5\n", ("sep=;", "locale=de-DE"), ["1.5", "1500", "1234.5"]),
        ("1,2\n3,4\n", (), ["2", "4"]),
    ],
)
def test_numbers_that_can_only_be_meant_as_spark_reads_them_are_read(
    reads: Reads, text: str, options: tuple[str, ...], amounts: list[str | None]
) -> None:
    assert reads("csv", text, *options) == [amount and Decimal(amount) for amount in amounts]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ('"1,5"', "DECIMAL(10,2)"),
        ("'1,5'", "DECIMAL(10,2)"),
        ('[{"x": "1,5"}]', "ARRAY<STRUCT<x DECIMAL(10,2), s STRING>>"),
        ('{"k": "1,5"}', "MAP<STRING, DECIMAL(10,2)>"),
    ],
)
def test_a_string_of_json_is_not_read_as_another_number_at_any_depth(reads: Reads, value: str, kind: str) -> None:
    with pytest.raises(LoadError, match=r"/a\.json has a number with ',' in v, and Spark would read 1,5 as 15"):
        reads("json", f'{{"v": {value}}}\n', schema=f"v {kind}")


def test_a_comma_in_other_columns_and_in_json_itself_is_none_in_a_number(reads: Reads) -> None:
    text = '{"id": 1, "s": "1,5", "a": [1,2], "amount": 1.5}\n'
    assert reads("json", text, schema="s STRING, a ARRAY<INT>, amount DECIMAL(10,2)") == [Decimal("1.5")]
