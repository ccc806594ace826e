"""COPY's text as Python's values, by the columns' types."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal

import pytest

from jobs.dbaccess.catalog.query_columns import BaseType, SourceColumn
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.rows.decode import RowDecoder

UTC = dt.timezone.utc


def value(field: str, base: str = "text", dimensions: int = 0) -> object:
    [decoded] = RowDecoder([SourceColumn("c", base, BaseType(base), dimensions)]).row(field)
    return decoded


@pytest.mark.parametrize(
    ("field", "base", "wanted"),
    [
        ("\\N", "int4", None),
        ("\\\\N", "text", "\\N"),
        ("", "text", ""),
        ("a\\tb\\nc\\\\d\\be", "text", "a\tb\nc\\d\be"),
        ("t", "bool", True),
        ("-7", "int8", -7),
        ("Infinity", "float8", float("inf")),
        ("1.10", "numeric", Decimal("1.10")),
        ("\\\\x00ff", "bytea", b"\x00\xff"),
        ("2026-11-21", "date", dt.date(2026, 11, 21)),
        ("2026-11-21 07:00:00.5", "timestamp", dt.datetime.fromisoformat("2026-11-21 07:00:00.500000")),
        ("2026-11-21 07:00:00+00", "timestamptz", dt.datetime(2026, 11, 21, 7, tzinfo=UTC)),
        (
            "2026-11-21 07:00:00.25-03:30",
            "timestamptz",
            dt.datetime(2026, 11, 21, 10, 30, 0, 250000, tzinfo=UTC),
        ),
        ("07:30:00", "time", dt.time(7, 30)),
        ('{"a": [1, null]}', "jsonb", {"a": [1, None]}),
        ("00000000-0000-0000-0000-000000000001", "uuid", uuid.UUID(int=1)),
        ("10.0.0.0/8", "cidr", "10.0.0.0/8"),
    ],
)
def test_a_field_is_decoded_by_its_columns_type(field: str, base: str, wanted: object) -> None:
    assert value(field, base) == wanted


@pytest.mark.parametrize(
    ("field", "base", "wanted"),
    [
        ("{}", "int4", []),
        ("{1,NULL,3}", "int4", [1, None, 3]),
        ("{{1,2},{3,4}}", "int4", [[1, 2], [3, 4]]),
        ('{a,"b \\\\"\\\\\\\\ c","NULL",NULL,""}', "text", ["a", 'b "\\ c', "NULL", None, ""]),
        ('{"{\\\\"a\\\\": 1}"}', "jsonb", [{"a": 1}]),
    ],
)
def test_an_array_is_a_list(field: str, base: str, wanted: object) -> None:
    assert value(field, base, dimensions=1) == wanted


@pytest.mark.parametrize(
    ("field", "base", "dimensions"),
    [
        ("infinity", "date", 0),
        ("0044-03-15 BC", "date", 0),
        ("10000-01-01 00:00:00", "timestamp", 0),
        ("24:00:00", "time", 0),
        ("[0:1]={1,2}", "int4", 1),
        ("{1,2", "int4", 1),
        ("7-up", "int4", 1),
    ],
)
def test_what_python_cannot_hold_is_refused_by_column_and_not_shown(field: str, base: str, dimensions: int) -> None:
    with pytest.raises(ExtractError, match="Column c contains a value") as raised:
        value(field, base, dimensions)
    assert field not in str(raised.value)
    as_text = RowDecoder([SourceColumn("c", base, BaseType(base), dimensions)], ["c"])
    assert as_text.row(field) == (field,)
