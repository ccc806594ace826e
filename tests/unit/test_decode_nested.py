"""Texts of nested values become Arrow's nested columns, without a JVM."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import types as t

from jobs.copyformat.decode_nested import finished
from jobs.copyformat.read_types import NOT_FINITE, ExtractColumn
from jobs.dbaccess.errors import ExtractError


def column(element: t.DataType, dimensions: int = 0, *fields: ExtractColumn, name: str = "c") -> ExtractColumn:
    return ExtractColumn(name, "", element, dimensions, fields)


def record(*fields: ExtractColumn, dimensions: int = 0, name: str = "c") -> ExtractColumn:
    struct = t.StructType([t.StructField(field.name, field.spark_type) for field in fields])
    return column(struct, dimensions, *fields, name=name)


def decoded(texts: list[str | None], of: ExtractColumn) -> list[Any]:
    batch = pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], names=["0"])
    [done] = finished([batch], [of])
    values: list[Any] = done.column(0).to_pylist()
    return values


VECTOR = column(t.ArrayType(t.FloatType()))
VECTORS = column(t.ArrayType(t.FloatType()), 1)
HSTORE = column(t.MapType(t.StringType(), t.StringType()))
A, B = column(t.IntegerType(), name="a"), column(t.StringType(), name="b")
PAIR, PAIRS = record(A, B), record(A, B, dimensions=1)
ALL = record(
    column(t.BooleanType(), name="flag"),
    column(t.DateType(), name="day"),
    column(t.TimestampType(), name="at"),
    column(t.DecimalType(5, 2), name="n"),
    column(t.BinaryType(), name="raw"),
    column(t.IntegerType(), 1, name="numbers"),
    record(A, B, name="one"),
    record(A, B, dimensions=1, name="many"),
)
AT = dt.datetime(2026, 11, 1, 5, 30, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("of", "texts", "values"),
    [
        (VECTOR, ["[1,-0.5,1e-20]", None, "[2]"], [[1.0, -0.5, pytest.approx(1e-20)], None, [2.0]]),
        (VECTOR, [None], [None]),
        (VECTORS, ['["[1,2]",null]', "[]", None], [[[1.0, 2.0], None], [], None]),
        (HSTORE, ['{"a": "1", "b": null}', "{}", None], [[("a", "1"), ("b", None)], [], None]),
        (PAIR, ['["1","a,\\"b"]', '[null,""]', "[null,null]", None], [(1, 'a,"b'), (None, ""), (None, None), None]),
        (PAIRS, ['["[\\"1\\",null]",null]', "[]", None], [[(1, None), None], [], None]),
        (PAIRS, ["[]", None], [[], None]),
        (
            ALL,
            [
                '["true","-1","2026-11-01 05:30:00","1.50","\\\\x00ff","[\\"1\\",null]","[\\"2\\",\\"b\\"]","[]"]',
                "[null,null,null,null,null,null,null,null]",
                None,
            ],
            [
                (True, dt.date(1969, 12, 31), AT, Decimal("1.50"), b"\x00\xff", [1, None], (2, "b"), []),
                (None,) * 8,
                None,
            ],
        ),
    ],
)
def test_nested_values_are_those_of_the_texts(of: ExtractColumn, texts: list[str | None], values: list[Any]) -> None:
    assert [plain(value) for value in decoded(texts, of)] == values


def plain(value: Any) -> Any:  # noqa: ANN401 - what Arrow holds
    """Structs as tuples."""
    if isinstance(value, dict):
        return tuple(plain(item) for item in value.values())
    is_pair = isinstance(value, tuple)
    return [plain(item) for item in value] if isinstance(value, list) and not is_pair else value


@pytest.mark.parametrize(
    ("field", "text"),
    [
        (column(t.DateType(), name="day"), f'["{NOT_FINITE}"]'),
        (column(t.TimestampType(), name="at"), '["infinity"]'),
        (column(t.IntegerType(), 1, name="numbers"), '["![0:1]"]'),
    ],
)
def test_what_a_field_cannot_hold_is_refused_by_the_name_of_the_column(field: ExtractColumn, text: str) -> None:
    with pytest.raises(ExtractError, match='The column "outer" holds a value that its type in Spark cannot'):
        decoded([text], record(field, name="outer"))
