"""Encodes rows of Python values as lines of COPY's text format, in the forms that loads from Spark use.

https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from jobs.dbaccess.catalog.tables import Column
from jobs.dbaccess.copy_text import ARRAY_ESCAPES, COPY_ESCAPES, NULL
from jobs.dbaccess.errors import UsageError, plural
from jobs.dbaccess.sql import is_text

_ESCAPES = str.maketrans(dict(COPY_ESCAPES))
_ELEMENT_ESCAPES = str.maketrans(dict(ARRAY_ESCAPES))

_JSON = frozenset({"json", "jsonb"})
_ADDRESSES = (
    ipaddress.IPv4Address,
    ipaddress.IPv4Interface,
    ipaddress.IPv4Network,
    ipaddress.IPv6Address,
    ipaddress.IPv6Interface,
    ipaddress.IPv6Network,
)


class RowEncoder:
    """Encodes rows for some columns of a table.

    Args:
        columns: The columns, in the order of a row's values.
        null_values: Strings that stand for NULL.
    """

    def __init__(self, columns: Sequence[Column], null_values: Collection[str] = ()) -> None:
        self._columns = columns
        self._null_values = frozenset(null_values)

    def line(self, row: Sequence[object], number: int) -> str:
        """Return a row as a line, with the newline that ends it.

        Args:
            row: Its values.
            number: Its number, for messages.

        Raises:
            UsageError: The row has another number of values than there are columns, or PostgreSQL has no form of one.
        """
        if isinstance(row, (str, bytes)) or len(row) != len(self._columns):
            count = "one text" if isinstance(row, (str, bytes)) else f"{len(row)} values"
            raise UsageError(
                f"Row {number} has {count} for {plural(len(self._columns), 'column')}.", "Nothing was copied."
            )
        fields = [self._field(value, column, number) for value, column in zip(row, self._columns)]
        return "\t".join(fields) + "\n"

    def _field(self, value: object, column: Column, number: int) -> str:
        if value is None or (isinstance(value, str) and value in self._null_values):
            return NULL
        try:
            text = _text_for(value, column)
        except _Unsuitable as error:
            raise UsageError(
                f"Row {number}, column {column.name}: {error} cannot be copied into {column.type_name}.",
                "Nothing was copied. Convert the value first.",
            ) from None
        return text.translate(_ESCAPES)


class _Unsuitable(Exception):
    """PostgreSQL has no form of a value; the message says what it is, and does not show it."""


def _text_for(value: object, column: Column) -> str:
    """Return a value as the server's input for a column's type.

    Raises:
        _Unsuitable: There is none.
    """
    if column.base_type in _JSON and not isinstance(value, str):
        return _json(value)
    if column.element and isinstance(value, (list, tuple)):
        return _array(value, column.element)
    return _text(value)


def _text(value: object) -> str:
    for types, form in _FORMS:
        if isinstance(value, types):
            return form(value)
    raise _Unsuitable(f"a value of Python's type {type(value).__name__}")


def _string(value: str) -> str:
    if not is_text(value):
        raise _Unsuitable("text with NUL or invalid UTF-8")
    return value


def _fraction(value: float) -> str:
    if math.isfinite(value):
        return repr(float(value))
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _array(values: Sequence[object], element: str) -> str:
    """Return an array's text. https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO."""
    return "{" + ",".join(_element(value, element) for value in values) + "}"


def _element(value: object, element: str) -> str:
    if value is None:
        return "NULL"
    if element in _JSON and not isinstance(value, str):
        text = _json(value)
    elif isinstance(value, (list, tuple)):
        return _array(value, element)
    else:
        text = _text(value)
    return '"' + text.translate(_ELEMENT_ESCAPES) + '"'


def _json(value: object) -> str:
    """Return a value as JSON. Numbers keep all digits; what JSON has no type for is a string.

    Raises:
        _Unsuitable: The value contains NaN, an infinity, or something without a form.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (float, Decimal)):
        if not math.isfinite(value):
            raise _Unsuitable("a number that JSON does not have")
        return repr(value) if isinstance(value, float) else format(value, "f")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_json(str(key))}: {_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_json, value)) + "]"
    return _json(_text(value))


def _interval(value: dt.timedelta) -> str:
    return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"


# The first that fits: bool is an int, and datetime a date.
_FORMS: tuple[tuple[tuple[type, ...], Callable[[Any], str]], ...] = (
    ((str,), _string),
    ((bool,), lambda value: "t" if value else "f"),
    ((int, Decimal, uuid.UUID, *_ADDRESSES), str),
    ((float,), _fraction),
    ((bytes, bytearray, memoryview), lambda value: "\\x" + bytes(value).hex()),
    ((dt.datetime,), lambda value: value.isoformat(sep=" ")),
    ((dt.date, dt.time), lambda value: value.isoformat()),
    ((dt.timedelta,), _interval),
)


def blocks(encoder: RowEncoder, rows: Iterable[Sequence[object]], size: int) -> Iterator[tuple[bytes, int]]:
    """Yield blocks of whole lines, each of about `size` bytes, with the number of rows so far."""
    lines: list[str] = []
    length = number = 0
    for number, row in enumerate(rows, start=1):
        lines.append(encoder.line(row, number))
        length += len(lines[-1])
        if length >= size:
            yield "".join(lines).encode(), number
            lines, length = [], 0
    if lines:
        yield "".join(lines).encode(), number
