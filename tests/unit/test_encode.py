"""Python's values as COPY's text; what PostgreSQL has no form of is refused without being shown."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from decimal import Decimal

import pytest

from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.rows.encode import RowEncoder, blocks

TEXT = Column("c", "text", "text", "S")
JSONB = Column("c", "jsonb", "jsonb", "U")
ARRAY = Column("c", "text[]", "_text", "A", element="text", element_category="S")
JSON_ARRAY = Column("c", "jsonb[]", "_jsonb", "A", element="jsonb", element_category="U")
ZONE = dt.timezone(dt.timedelta(hours=-3, minutes=-30))


def field(value: object, column: Column = TEXT) -> str:
    line = RowEncoder([column]).line([value], 1)
    assert line.endswith("\n")
    return line[:-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\\N"),
        ("", ""),
        ("\\N", "\\\\N"),
        ("a\tb\nc\rd\\e", "a\\tb\\nc\\rd\\\\e"),
        (True, "t"),
        (False, "f"),
        (-7, "-7"),
        (1e300, "1e+300"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.10"), "1.10"),
        (b"\x00\xff", "\\\\x00ff"),
        (bytearray(b"a"), "\\\\x61"),
        (dt.date(2026, 11, 21), "2026-11-21"),
        (dt.datetime(2026, 11, 21, 7, 0, 0, 5, tzinfo=ZONE), "2026-11-21 07:00:00.000005-03:30"),
        (dt.time(7, 30), "07:30:00"),
        (dt.timedelta(days=-1, seconds=5, microseconds=7), "-1 days 5 seconds 7 microseconds"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (ipaddress.ip_network("10.0.0.0/8"), "10.0.0.0/8"),
    ],
)
def test_a_value_has_the_form_that_the_server_reads(value: object, text: str) -> None:
    assert field(value) == text


@pytest.mark.parametrize(
    ("value", "column", "text"),
    [
        (["a", None, 'b"\\', "NULL", ""], ARRAY, '{"a",NULL,"b\\\\"\\\\\\\\","NULL",""}'),
        ([[1, 2], [3, 4]], ARRAY, '{{"1","2"},{"3","4"}}'),
        ((), ARRAY, "{}"),
        ({"a": [1, None, True], "ä": Decimal("1.50")}, JSONB, '{"a": [1, null, true], "ä": 1.50}'),
        ([1, "x"], JSONB, '[1, "x"]'),
        ({"day": dt.date(2026, 1, 2)}, JSONB, '{"day": "2026-01-02"}'),
        ('{"as": "it is"}', JSONB, '{"as": "it is"}'),
        (7, JSONB, "7"),
        ([{"a": 1}], JSON_ARRAY, '{"{\\\\"a\\\\": 1}"}'),
    ],
)
def test_lists_and_mappings_become_arrays_or_json_by_the_column(value: object, column: Column, text: str) -> None:
    assert field(value, column) == text


@pytest.mark.parametrize(
    ("value", "column", "told"),
    [
        ("a\0b", TEXT, "text with NUL or invalid UTF-8"),
        ("\udcff", TEXT, "text with NUL or invalid UTF-8"),
        (["\0"], ARRAY, "text with NUL"),
        (object(), TEXT, "a value of Python's type object"),
        ({"a": 1}, TEXT, "a value of Python's type dict"),
        ([1], TEXT, "a value of Python's type list"),
        (float("nan"), JSONB, "a number that JSON does not have"),
    ],
)
def test_what_cannot_be_copied_is_refused_with_row_and_column(value: object, column: Column, told: str) -> None:
    with pytest.raises(UsageError, match=f"Row 7, column c: {told}.* cannot be copied into {column.type_name[:4]}"):
        RowEncoder([column]).line([value], 7)


@pytest.mark.parametrize("row", [(), (1, 2), "a", b"a"])
def test_a_row_of_another_length_is_refused(row: tuple[object, ...]) -> None:
    with pytest.raises(UsageError, match=r"Row 3 has .* for 1 column"):
        RowEncoder([TEXT]).line(row, 3)


def test_strings_may_stand_for_null() -> None:
    encoder = RowEncoder([TEXT, TEXT, TEXT], null_values=("", "NA"))
    assert encoder.line(["", "NA", "na"], 1) == "\\N\t\\N\tna\n"


def test_blocks_hold_whole_lines_and_are_made_as_they_are_wanted() -> None:
    taken = []

    def rows() -> object:
        for number in range(1000):
            taken.append(number)
            yield [number]

    made = blocks(RowEncoder([TEXT]), rows(), 100)  # type: ignore[arg-type]  # an iterator of rows
    first, count = next(made)
    assert len(first) < 110
    assert first.endswith(b"\n")
    assert len(taken) == count
    assert b"".join([first, *(block for block, _ in made)]) == b"".join(b"%d\n" % number for number in range(1000))
