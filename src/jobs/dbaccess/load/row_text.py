"""A row as one text that Spark (spark/row_hash.py) and the server build alike, so that their hashes can be compared.

This text is not the COPY line: the server writes what it stored, by its type, in a form that Spark can build from its
own value. Fields are separated by U+001F. A NULL is an empty field, and a row with NULLs ends in one flag for each
field. (Two rows have the same text if they differ only in which of two texts contains a U+001F.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name

HASH_DIGITS = 16
"""The number of hexadecimal digits of the MD5 that form the hash: a signed number of 8 bytes."""

PLAIN = "plain"
"""Integers, booleans and times: as the server prints them with any setting."""
TEXT, CUT, PADDED, TRIMMED = "text", "cut", "padded", "trimmed"
"""Text; text of a declared length, which is truncated or padded with blanks; text without trailing blanks."""
DECIMAL, ROUNDED = "decimal", "rounded"
"""With a fixed number of digits after the point: those of the column, or those to round to."""
FLOAT4, FLOAT8 = "float4", "float8"
"""By their bits, because two programs may print a fraction differently."""
BYTES, UUID = "bytes", "uuid"
"""Hexadecimal digits."""
DAY, TIMESTAMP, INTERVAL = "day", "timestamp", "interval"
"""Days, and microseconds, since 1970; and microseconds, with 30 days in a month and 365.25 days in a year."""
ARRAY, VECTOR = "array", "vector"
"""The dimensions, then each element as a field; the same of pgvector's vector, as an array of floats."""
PRESENCE = "presence"
"""A value that cannot be compared: its text is empty, so that only NULLs differ."""

_EXPRESSIONS = {
    PLAIN: "{}",
    TEXT: "{}",
    CUT: "{}",
    PADDED: "{}",
    DECIMAL: "{}",
    TRIMMED: "rtrim({}::text)",
    FLOAT4: "CASE WHEN {0} = 'NaN' THEN 'NaN' ELSE ('x' || encode(float4send({0}), 'hex'))::bit(32)::int4::text END",
    FLOAT8: "CASE WHEN {0} = 'NaN' THEN 'NaN' ELSE ('x' || encode(float8send({0}), 'hex'))::bit(64)::int8::text END",
    BYTES: "encode({}, 'hex')",
    UUID: "replace({}::text, '-', '')",
    DAY: "({} - date '1970-01-01')",
    TIMESTAMP: "trunc(extract(epoch FROM {}) * 1000000)",
    INTERVAL: "trunc(extract(epoch FROM {}) * 1000000)",
    PRESENCE: "''",
}

_MOST_ARGUMENTS = 90
"""The maximum number of arguments of PostgreSQL's functions."""


@dataclass(frozen=True)
class Form:
    """How the values of a column are written.

    Attributes:
        kind: One of the above.
        scale: The digits after the point, those of a timestamp's seconds, or the length of a text.
        element: The form of the elements of an ARRAY or a VECTOR.
    """

    kind: str
    scale: int = 0
    element: Form | None = None

    @property
    def is_sent(self) -> bool:
        """Return whether the text is the one in the COPY line."""
        return self.kind in (TEXT, CUT, PADDED, TRIMMED)

    @property
    def is_compared(self) -> bool:
        """Return whether values are compared, and not only NULLs."""
        return self.kind != PRESENCE and (self.element is None or self.element.is_compared)


@dataclass(frozen=True)
class Sum:
    """What is compared: the number of rows, and the sum of their hashes, which ignores order and cannot overflow."""

    rows: int
    hashes: int


NOTHING = Sum(0, 0)
"""The sum of no rows."""


@dataclass(frozen=True)
class RowText:
    """The columns of a row's text.

    Attributes:
        columns: Their names.
        forms: The forms of their values.
        recode: Whether the database's encoding differs from UTF8, in which Spark hashes.
        settings: Server settings with which the rows are written, where the forms depend on them.
        intended: Who knows what the rows are to be, for messages.
    """

    columns: tuple[str, ...]
    forms: tuple[Form, ...]
    recode: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    intended: str = "Spark encoded"

    @property
    def row_hash(self) -> str:
        """Return an SQL expression for a row's hash."""
        values = [quote_name(name) for name in self.columns]
        fields = [self._field(value, form) for value, form in zip(values, self.forms)]
        # IS NULL would also be true for a composite value whose fields are all NULL.
        flags = [f"({value} IS NOT DISTINCT FROM NULL)" for value in values]
        whole = _joined(fields)
        # A concat for each field turns a NULL into an empty text, but doubles the time. Most rows have no NULL.
        with_nulls = f"concat({_joined([f'concat({field})' for field in fields])}, {_joined(flags)})"
        text = f"CASE WHEN {_count_nulls(values)} = 0 THEN {whole} ELSE {with_nulls} END"
        return f"('x' || left(md5({self._octets(text)}), {HASH_DIGITS}))::bit(64)::int8"

    @property
    def compared(self) -> tuple[str, ...]:
        """Return the columns whose values are compared."""
        return tuple(name for name, form in zip(self.columns, self.forms) if form.is_compared)

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Return the columns of which only NULLs are compared."""
        return tuple(name for name, form in zip(self.columns, self.forms) if not form.is_compared)

    def _field(self, value: str, form: Form) -> str:
        if form.element is not None:
            return self._array(f"{value}::float4[]" if form.kind == VECTOR else value, form.element)
        return f"round({value}, {form.scale})" if form.kind == ROUNDED else _EXPRESSIONS[form.kind].format(value)

    def _array(self, value: str, element: Form) -> str:
        item = f"concat({self._field('item', element)})"
        sized = f"CASE WHEN item IS NULL THEN ':' ELSE concat(octet_length({self._octets(item)}), ':', {item}) END"
        items = (
            f"SELECT string_agg({sized}, ',' ORDER BY place) FROM unnest({value}) WITH ORDINALITY AS u (item, place)"
        )
        return f"CASE WHEN {value} IS NOT NULL THEN concat(array_dims({value}), ({items})) END"

    def _octets(self, text: str) -> str:
        return f"convert_to({text}, 'UTF8')" if self.recode else text


def measure(session: Session, rows: str, hash_of_row: str) -> Sum:
    """Return the number of rows of a FROM clause and the sum of their hashes. The session must be pinned."""
    [count, total] = session.row(2, f"SELECT count(*), coalesce(sum({hash_of_row}), 0) FROM {rows}")
    return Sum(int(count), int(total))


def _joined(texts: Sequence[str]) -> str:
    """Return an expression that joins fields, none of which is NULL."""
    return " || chr(31) || ".join(f"concat_ws(chr(31), {', '.join(group)})" for group in _grouped(texts))


def _count_nulls(values: Sequence[str]) -> str:
    return " + ".join(f"num_nulls({', '.join(group)})" for group in _grouped(values))


def _grouped(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + _MOST_ARGUMENTS] for start in range(0, len(values), _MOST_ARGUMENTS)]
