"""Which filters mean the same in PostgreSQL; that they do is tested on a server."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from pyspark.sql import types as t

from jobs.spark.reading import Reading

if TYPE_CHECKING:
    from pyspark.sql.datasource import Filter

d = pytest.importorskip("pyspark.sql.datasource", reason="Python data sources are Spark 4's")
if not hasattr(d, "Filter"):
    pytest.skip("Spark pushes filters from 4.1 on", allow_module_level=True)

from jobs.pgcopy.filters import Comparison, Missing, Negation, translated  # noqa: E402 - where Spark has filters

READINGS = [
    Reading("i", '"i"', t.IntegerType(), base="int4"),
    Reading("n", '"n"', t.DecimalType(10, 2), base="numeric"),
    Reading("f", '"f"', t.DoubleType(), base="float8"),
    Reading("s", '"s"', t.StringType(), base="varchar"),
    Reading("c", '"c"', t.StringType(), base="bpchar"),
    Reading("x", '"x"::text', t.StringType()),
    Reading("z", '"z"', t.TimestampType(), base="timestamptz"),
    Reading("l", '"l"', t.TimestampNTZType(), base="timestamp"),
    Reading("a", "", t.IntegerType(), dimensions=1),
]
NOON = dt.datetime(2026, 11, 20, 12)  # noqa: DTZ001 - without zone on purpose
NOON_UTC = NOON.replace(tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("found", "condition"),
    [
        (d.EqualTo(("i",), 3), Comparison("i", "=", ("3",), "int4")),
        (d.In(("i",), (1, 2)), Comparison("i", "IN", ("1", "2"), "int4")),
        (d.Not(d.IsNull(("a",))), Negation(Missing("a"))),
        (d.LessThan(("n",), Decimal("1E-2")), Comparison("n", "<", ("0.01",), "numeric")),
        (d.EqualTo(("s",), "x"), Comparison("s", "=", ("x",), "text")),
        (d.GreaterThan(("z",), NOON_UTC), Comparison("z", ">", ("2026-11-20T12:00:00+00:00",), "timestamptz")),
        (d.GreaterThan(("l",), NOON), Comparison("l", ">", ("2026-11-20T12:00:00",), "timestamp")),
    ],
)
def test_what_surely_means_the_same_is_translated(found: Filter, condition: object) -> None:
    assert translated(found, READINGS) == condition


@pytest.mark.parametrize(
    "found",
    [
        d.LessThan(("s",), "x"),
        d.EqualTo(("s",), "a\0b"),
        d.StringStartsWith(("s",), "x"),
        d.EqualTo(("c",), "x"),
        d.EqualTo(("x",), "x"),
        d.EqualTo(("f",), 1.0),
        d.EqualTo(("i",), True),
        d.In(("i",), (1, None)),
        d.EqualTo(("z",), NOON),
        d.EqualTo(("l",), NOON_UTC),
        d.EqualTo(("a",), [1]),
        d.EqualTo(("i", "field"), 1),
        d.EqualTo(("nowhere",), 1),
        d.Not(d.LessThan(("s",), "x")),
    ],
)
def test_what_may_mean_something_else_is_left_to_spark(found: Filter) -> None:
    assert translated(found, READINGS) is None
