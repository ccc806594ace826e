"""Types of columns: values that they store, in which form, and values that they refuse.

Each is a table of examples from the manual's chapter on types. What a column stores is written as the server writes it,
as text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Optional

import pyarrow as pa
from pyspark.sql import types as t

Text = Optional[str]
"""A stored value, as the server writes it; None for NULL."""

OUT_OF_RANGE, TOO_LONG, INVALID_TEXT, BAD_DATE, NO_DATE = "22003", "22001", "22P02", "22007", "22008"
NO_NUL, NOT_NULL, FOREIGN_KEY, UNIQUE, CHECK, EXCLUSION = "22021", "23502", "23503", "23505", "23514", "23P01"
"""SQLSTATEs."""


@dataclass(frozen=True)
class Value:
    """A value of the data.

    Attributes:
        spark: It, as Spark has it.
        text: What the column stores.
        refused: The SQLSTATE by which the column refuses it; empty if it takes it.
        wide: What the column stores if its type was widened for the data; None for the same.
    """

    spark: object
    text: Text
    refused: str = ""
    wide: Text = None

    def stored(self, *, widened: bool) -> Text:
        """Return what the column stores."""
        return self.wide if widened and self.wide is not None else self.text


NULL = Value(None, None)


def _as_it_is(text: str) -> Hashable:
    return text


def _number(text: str) -> Hashable:
    return text if text == "NaN" else Decimal(text)


def _float(text: str) -> Hashable:
    return text if text == "NaN" else float(text)  # -0.0 and 0.0 are equal, and have one hash


@dataclass(frozen=True)
class Kind:
    """A type of columns.

    Attributes:
        sql: Its name.
        spark: The type of the data for it.
        arrow: The same in Arrow.
        values: Values that it stores.
        refused: Values that it refuses.
        equal: Returns of a stored value what is equal for those that a unique index takes for equal.
        widened: The type that `--schema-mode widen` makes of it for this data; empty for the same.
        wider: What becomes of a stored value then.
        refuses_null: Whether it is a domain that is NOT NULL.
    """

    sql: str
    spark: t.DataType = field(repr=False)
    arrow: pa.DataType = field(repr=False)
    values: tuple[Value, ...] = field(repr=False)
    refused: tuple[Value, ...] = field(default=(), repr=False)
    equal: Callable[[str], Hashable] = field(default=_as_it_is, repr=False)
    widened: str = field(default="", repr=False)
    wider: Callable[[str], str] = field(default=str, repr=False)
    refuses_null: bool = field(default=False, repr=False)


def _stored(pairs: Mapping[object, str]) -> tuple[Value, ...]:
    return tuple(Value(value, text) for value, text in pairs.items())


def _same(*values: object) -> tuple[Value, ...]:
    return tuple(Value(value, str(value)) for value in values)


def _bad(pairs: Mapping[Any, str]) -> tuple[Value, ...]:
    return tuple(Value(value, None, sqlstate) for value, sqlstate in pairs.items())


_NUL: Mapping[Any, str] = {"a\0b": NO_NUL, "\0": NO_NUL}
_STRING, _TEXT = t.StringType(), pa.string()

INT = Kind("integer", t.IntegerType(), pa.int32(), _same(-3, -1, 0, 1, 2, 3, 4, 5))
REF = Kind("bigint", t.LongType(), pa.int64(), _same(*range(1000, 1010)))
SMALLINT = Kind(
    "smallint",
    t.LongType(),
    pa.int64(),
    _same(-32768, 0, 1, 32767),
    tuple(Value(n, None, OUT_OF_RANGE, str(n)) for n in (32768, -(2**40))),
    widened="bigint",
)
INTEGER = Kind(
    "integer",
    t.LongType(),
    pa.int64(),
    _same(-(2**31), 7, 2**31 - 1),
    tuple(Value(n, None, OUT_OF_RANGE, str(n)) for n in (2**31, -(2**63))),
    widened="bigint",
)
BIGINT = Kind("bigint", t.LongType(), pa.int64(), _same(-(2**63), 0, 2**63 - 1))
DECIMAL = Kind(
    "numeric(4,1)",
    t.DecimalType(8, 2),
    pa.decimal128(8, 2),
    (
        Value(Decimal("1.25"), "1.3", "", "1.25"),
        Value(Decimal("-1.25"), "-1.3", "", "-1.25"),
        Value(Decimal("0.04"), "0.0", "", "0.04"),
        Value(Decimal("999.94"), "999.9", "", "999.94"),
    ),
    (
        Value(Decimal("999.95"), None, OUT_OF_RANGE, "999.95"),
        Value(Decimal("-1000.00"), None, OUT_OF_RANGE, "-1000.00"),
    ),
    _number,
    "numeric(8,2)",
    lambda text: str(Decimal(text).quantize(Decimal("0.01"))),
)
NUMERIC = Kind(
    "numeric",
    _STRING,
    _TEXT,
    _stored({"1": "1", "1.0": "1.0", " 1.00 ": "1.00", "2": "2", "-0.5": "-0.5", "1e2": "100", "NaN": "NaN"}),
    _bad({"x": INVALID_TEXT, "": INVALID_TEXT, "1,5": INVALID_TEXT, **_NUL}),
    _number,
)
DOUBLE = Kind(
    "double precision",
    t.DoubleType(),
    pa.float64(),
    (
        Value(0.0, "0"),
        Value(-0.0, "-0"),
        Value(1.5, "1.5"),
        Value(float("nan"), "NaN"),
        Value(float("inf"), "Infinity"),
    ),
    equal=_float,
)
TEXT = Kind(
    "text",
    _STRING,
    _TEXT,
    _stored({text: text for text in ("a", "b", "A", "", " ", "\\N", "NULL", "a\tb\n\\", "\u00e9")}),
    _bad(_NUL),
)
VARCHAR = Kind(
    "character varying(3)",
    _STRING,
    _TEXT,
    (*_stored({text: text for text in ("a", "abc", "\u00e9\u00e9\u00e9", "a ")}), Value("abc  ", "abc", "", "abc  ")),
    (
        *(Value(text, None, TOO_LONG, text) for text in ("abcd", "\u00e9\u00e9\u00e9\u00e9")),
        Value("a\0b", None, NO_NUL),
    ),
    widened="text",
)
CHAR = Kind(
    "character(3)",
    _STRING,
    _TEXT,
    _stored({"a": "a", "a ": "a", "a    ": "a", "b": "b", "abc": "abc", "": ""}),
    _bad({"abcd": TOO_LONG, "a\0": NO_NUL}),
)
DAY = Kind(
    "date",
    _STRING,
    _TEXT,
    _stored({"2026-01-01": "2026-01-01", "20260101": "2026-01-01", "2026-02-28": "2026-02-28", "infinity": "infinity"}),
    _bad({"2026-02-30": NO_DATE, "x": BAD_DATE, "": BAD_DATE}),
)
BOOLEAN = Kind("boolean", t.BooleanType(), pa.bool_(), _stored({True: "true", False: "false"}))
MOOD = Kind(
    "fuzz.mood",
    _STRING,
    _TEXT,
    _stored({"low": "low", "high": "high", "'": "'"}),
    _bad({"x": INVALID_TEXT, "Low": INVALID_TEXT, "": INVALID_TEXT}),
)
POSITIVE = Kind(
    "fuzz.positive",
    t.LongType(),
    pa.int64(),
    _same(1, 2, 2**31 - 1),
    _bad({0: CHECK, -1: CHECK, 2**31: OUT_OF_RANGE}),
)
GIVEN = Kind(
    "fuzz.given", _STRING, _TEXT, _stored({"a": "a", "": ""}), (Value(None, None, NOT_NULL),), refuses_null=True
)
TAGS = Kind(
    "text[]",
    t.ArrayType(_STRING),
    pa.list_(_TEXT),
    (
        Value([], "{}"),
        Value([None, "NULL"], '{NULL,"NULL"}'),
        Value(["a,b", '"', "\\", ""], '{"a,b","\\"","\\\\",""}'),
    ),
    (Value(["a\0"], None, NO_NUL),),
)

TYPES = (
    "CREATE TYPE fuzz.mood AS ENUM ('low', 'high', '''')",
    "CREATE DOMAIN fuzz.positive AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN fuzz.given AS text NOT NULL",
)
"""The statements that create the types that a server does not have."""

KEYS = (INT, NUMERIC, TEXT, CHAR, DOUBLE, DAY)
"""The types of keys: of some, values are equal that are stored in different forms."""

NUMBERS = (SMALLINT, INTEGER, BIGINT, DECIMAL, NUMERIC, DOUBLE, POSITIVE)
OTHERS = (*NUMBERS, TEXT, VARCHAR, CHAR, DAY, BOOLEAN, MOOD, GIVEN, TAGS)
"""The types of columns that no constraint is about."""
