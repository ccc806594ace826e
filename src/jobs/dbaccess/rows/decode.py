"""Decodes lines of COPY's text format into Python values, by the types of the columns."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from jobs.dbaccess.catalog.query_columns import SourceColumn
from jobs.dbaccess.copy_text import NULL, OUTPUT_ESCAPES
from jobs.dbaccess.errors import ExtractError

Decoder = Callable[[str], Any]

_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {escape[1:]: character for character, escape in OUTPUT_ESCAPES}


def _bytes(text: str) -> bytes:
    """Decode the hex format of bytea: two characters, and the digits."""
    return bytes.fromhex(text[2:])


def _completed(text: str) -> str:
    """Return a time whose offset has minutes and whose fraction has six digits, as Python before 3.11 requires."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        return text
    before, fraction, offset = found.groups()
    minutes = offset if offset is None or ":" in offset else f"{offset}:00"
    return f"{before}.{(fraction or '').ljust(6, '0')}{minutes or ''}"


_TIMESTAMP = re.compile(r"(.*?\d\d:\d\d:\d\d)(?:\.(\d+))?([+-]\d\d(?::\d\d){0,2})?")


def _timestamp(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(_completed(text))


def _time(text: str) -> dt.time:
    return dt.time.fromisoformat(_completed(text))


_DECODERS: dict[str, Decoder] = {
    "bool": lambda text: text == "t",
    "int2": int,
    "int4": int,
    "int8": int,
    "oid": int,
    "float4": float,
    "float8": float,
    "numeric": Decimal,
    "bytea": _bytes,
    "date": dt.date.fromisoformat,
    "timestamp": _timestamp,
    "timestamptz": _timestamp,
    "time": _time,
    "timetz": _time,
    "json": json.loads,
    "jsonb": json.loads,
    "uuid": uuid.UUID,
}
"""By pg_type's name. All other types are text, as the server writes it."""

_ELEMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|([^{},"]+)|([{},])', re.DOTALL)


class RowDecoder:
    """Decodes the lines of a query's result.

    Args:
        columns: Of the result.
        text_columns: Those to leave as text, as the server writes it.
    """

    def __init__(self, columns: Sequence[SourceColumn], text_columns: Sequence[str] = ()) -> None:
        self._names = [column.name for column in columns]
        self._decoders = [None if column.name in text_columns else _decoder(column) for column in columns]

    def row(self, line: str) -> tuple[Any, ...]:
        """Decode a line, without its newline.

        Raises:
            ExtractError: Python has no value for one of the server's, such as the date infinity.
        """
        fields = line.split("\t") if self._names else []
        return tuple(map(self._value, fields, self._decoders, self._names))

    @staticmethod
    def _value(field: str, decoder: Decoder | None, name: str) -> Any:  # noqa: ANN401 - of the column's type
        if field == NULL:
            return None
        text = _ESCAPE.sub(_unescaped, field) if "\\" in field else field
        if decoder is None:
            return text
        try:
            return decoder(text)
        except (ValueError, IndexError):
            raise ExtractError(
                f"Column {name} contains a value that Python cannot hold.",
                f"Name it in text_columns, to get it as text: text_columns=[{name!r}].",
            ) from None


def _unescaped(found: re.Match[str]) -> str:
    return _ESCAPED.get(found[1], found[1])


def _decoder(column: SourceColumn) -> Decoder | None:
    """Return what decodes a column's text; None if it stays text."""
    scalar = _DECODERS.get(column.scalar.base)
    if not column.dimensions:
        return scalar
    return lambda text: _array(text, scalar or str)


def _array(text: str, decoder: Decoder) -> list[Any]:
    """Decode an array. Arrays whose subscripts do not begin at 1 begin with them, and are refused.

    Raises:
        ValueError: The text is no array, or an element cannot be decoded.
    """
    open_lists: list[list[Any]] = [[]]
    position = 0
    while position < len(text):
        found = _ELEMENT.match(text, position)
        if found is None:
            raise ValueError
        quoted, plain, sign = found.groups()
        if sign == "{":
            open_lists.append([])
        elif sign == "}":
            inner = open_lists.pop()
            open_lists[-1].append(inner)
        elif quoted is not None:
            open_lists[-1].append(decoder(_ESCAPE.sub(r"\1", quoted)))
        elif plain is not None:
            open_lists[-1].append(None if plain == "NULL" else decoder(plain))
        position = found.end()
    [[whole]] = open_lists
    return list(whole)
