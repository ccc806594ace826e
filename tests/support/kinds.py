"""Every type that a load takes, with values to try and what the server answers for them."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from pyspark.sql import types as t
from texts import STRINGS

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


@dataclass(frozen=True)
class Kind:
    """A Spark type: values to try, and how the server is asked for them and answers.

    Attributes:
        read: an expression that gives the value back, with {} for the column.
        expected: what the driver then returns for a value.
    """

    spark_type: t.DataType
    values: st.SearchStrategy[Any]
    read: str = "{}"
    expected: Callable[[Any], Any] = lambda value: value


def text_of(value: Any) -> Any:  # noqa: ANN401 - floats, or what is none
    """A float as PostgreSQL writes it."""
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else value


INSTANTS = st.datetimes(dt.datetime(1, 1, 3), dt.datetime(9999, 12, 29)).map(  # noqa: DTZ001 - the zone comes next
    lambda value: value.replace(tzinfo=dt.timezone.utc)
)
# 2026-11-01 05:30 and 06:30 UTC are both 01:30 in New York.
TWICE = st.sampled_from([dt.datetime(2026, 11, 1, hour, 30, tzinfo=dt.timezone.utc) for hour in (5, 6)])
LOCAL = st.datetimes(dt.datetime(1, 1, 1), dt.datetime(9999, 12, 31))  # noqa: DTZ001 - times without zone
MICROS = st.integers(-(10**14), 10**14)


def micros(value: dt.timedelta) -> int:
    return value // dt.timedelta(microseconds=1)


KINDS = {
    "boolean": Kind(t.BooleanType(), st.booleans()),
    "byte": Kind(t.ByteType(), st.integers(-128, 127)),
    "short": Kind(t.ShortType(), st.integers(-(2**15), 2**15 - 1)),
    "integer": Kind(t.IntegerType(), st.integers(-(2**31), 2**31 - 1)),
    "long": Kind(t.LongType(), st.integers(-(2**63), 2**63 - 1)),
    "float": Kind(t.FloatType(), st.floats(width=32, allow_nan=True), "{}::float8", text_of),
    "double": Kind(t.DoubleType(), st.floats(allow_nan=True), expected=text_of),
    "decimal": Kind(
        t.DecimalType(38, 10),
        st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-(10**27), max_value=10**27),
    ),
    "string": Kind(t.StringType(), STRINGS),
    "binary": Kind(t.BinaryType(), st.binary(max_size=40)),
    "date": Kind(t.DateType(), st.dates()),
    "timestamp": Kind(
        t.TimestampType(),
        INSTANTS | TWICE,
        "(extract(epoch FROM {}) * 1000000)::bigint",
        lambda v: micros(v - EPOCH),
    ),
    "timestamp_ntz": Kind(t.TimestampNTZType(), LOCAL),
    "day-time interval": Kind(
        t.DayTimeIntervalType(),
        MICROS.map(lambda n: dt.timedelta(microseconds=n)),
        "(extract(epoch FROM {}) * 1000000)::bigint",
        micros,
    ),
    "struct": Kind(
        t.StructType([t.StructField("a", t.LongType()), t.StructField('b "c"', t.StringType())]),
        st.tuples(st.integers(-(2**63), 2**63 - 1), STRINGS | st.none()),
        "{}::text",
        lambda v: {"a": v[0], 'b "c"': v[1]},
    ),
    "map": Kind(
        t.MapType(t.StringType(), t.IntegerType()),
        st.dictionaries(STRINGS, st.integers(0, 9) | st.none(), max_size=3),
        "{}::text",
    ),
    "array of strings": Kind(t.ArrayType(t.StringType()), st.lists(STRINGS | st.none(), max_size=4)),
    "array of doubles": Kind(
        t.ArrayType(t.DoubleType()), st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.none(), max_size=4)
    ),
    "array of dates": Kind(t.ArrayType(t.DateType()), st.lists(st.dates() | st.none(), max_size=4), "{}::text[]"),
    "array of binary": Kind(
        t.ArrayType(t.BinaryType()),
        st.lists(st.binary(max_size=5) | st.none(), max_size=4),
        "(SELECT array_agg(encode(x, 'hex') ORDER BY n) FROM unnest({}) WITH ORDINALITY AS u(x, n))",
        lambda v: [None if x is None else x.hex() for x in v] or None,
    ),
    "array of structs": Kind(
        t.ArrayType(t.StructType([t.StructField("s", t.StringType())])),
        st.lists(st.tuples(STRINGS), max_size=3),
        "to_jsonb({})::text",
        lambda v: [{"s": x[0]} for x in v],
    ),
    "array of arrays": Kind(
        t.ArrayType(t.ArrayType(t.StringType())),
        st.lists(st.tuples(STRINGS | st.none(), STRINGS).map(list), min_size=1, max_size=3),
    ),
}
