"""A row as one text that Spark (spark/row_hash.py) and the server write alike, for hashes of both to be compared.

A value is not written as COPY has it: what the server stored is written anew, by its type, in a form that Spark can
make of its own value. Fields are separated by U+001F; a NULL is an empty field, and a row that has some ends in a flag
for each field. (Two rows have one text where they differ by nothing but in which of two texts a U+001F stands.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name

HASH_DIGITS = 16
"""Of a row's MD5, so many hexadecimal digits are its hash: a signed number of 8 bytes."""

PLAIN = "plain"
"""Integers, booleans and times: as the server writes them, in every setting."""
TEXT, CUT, PADDED, TRIMMED = "text", "cut", "padded", "trimmed"
"""Text; text of a length, beyond which blanks are cut, or to which some are added; text without blanks at its end."""
DECIMAL, ROUNDED = "decimal", "rounded"
"""With a fixed number of digits after the point, which the column has, or to which it is to be rounded."""
FLOAT4, FLOAT8 = "float4", "float8"
"""By their bits: two programs need not write a fraction alike."""
BYTES, UUID = "bytes", "uuid"
"""Hexadecimal digits."""
DAY, TIMESTAMP, INTERVAL = "day", "moment", "interval"
"""Days, and microseconds, since 1970; and microseconds, a month having 30 days and a year 365.25."""
ARRAY = "array"
"""The dimensions, then each element as a field."""
PRESENCE = "presence"
"""What cannot be compared: nothing is written, so that only a NULL is told from others."""

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
"""PostgreSQL's functions take 100."""


@dataclass(frozen=True)
class Form:
    """How the values of a column are written.

    Attributes:
        kind: one of those above.
        scale: the digits after the point, or those of a moment's seconds, or the length of a text.
        element: of ARRAY, how an element is written.
    """

    kind: str
    scale: int = 0
    element: Form | None = None

    @property
    def is_sent(self) -> bool:
        """Whether the text is the one that a COPY line has."""
        return self.kind in (TEXT, CUT, PADDED, TRIMMED)

    @property
    def is_compared(self) -> bool:
        """Whether values are compared, and not only that there are some."""
        return self.kind != PRESENCE and (self.element is None or self.element.is_compared)


@dataclass(frozen=True)
class Sum:
    """What is compared: how many rows, and the sum of their hashes, which no order changes and nothing overflows."""

    rows: int
    hashes: int


@dataclass(frozen=True)
class RowText:
    """The columns that make a row's text.

    Attributes:
        columns: their names.
        forms: how the values of each are written.
        recode: the database's encoding is not UTF8, in which Spark hashes.
    """

    columns: tuple[str, ...]
    forms: tuple[Form, ...]
    recode: bool = False

    @property
    def row_hash(self) -> str:
        """An expression for a row's hash."""
        values = [quote_name(name) for name in self.columns]
        fields = [self._field(value, form) for value, form in zip(values, self.forms)]
        flags = [f"({value} IS NULL)" for value in values]
        whole = _joined(fields)
        # A concat for each field makes a NULL an empty text, and takes as long as all the rest: most rows have none.
        with_nulls = f"concat({_joined([f'concat({field})' for field in fields])}, {_joined(flags)})"
        text = f"CASE WHEN {_count_nulls(values)} = 0 THEN {whole} ELSE {with_nulls} END"
        return f"('x' || left(md5({self._octets(text)}), {HASH_DIGITS}))::bit(64)::int8"

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns whose values are compared."""
        return tuple(name for name, form in zip(self.columns, self.forms) if form.is_compared)

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The columns of which only NULLs are."""
        return tuple(name for name, form in zip(self.columns, self.forms) if not form.is_compared)

    def _field(self, value: str, form: Form) -> str:
        if form.kind == ARRAY and form.element is not None:
            return self._array(value, form.element)
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
    """Of what a FROM clause gives, the number of rows and the sum of their hashes. Names must be pinned."""
    [[count, total]] = session.run(f"SELECT count(*), coalesce(sum({hash_of_row}), 0) FROM {rows}")
    return Sum(int(count), int(total))


def _joined(texts: Sequence[str]) -> str:
    """None of them NULL."""
    return " || chr(31) || ".join(f"concat_ws(chr(31), {', '.join(group)})" for group in _grouped(texts))


def _count_nulls(values: Sequence[str]) -> str:
    return " + ".join(f"num_nulls({', '.join(group)})" for group in _grouped(values))


def _grouped(values: Sequence[str]) -> list[Sequence[str]]:
    return [values[start : start + _MOST_ARGUMENTS] for start in range(0, len(values), _MOST_ARGUMENTS)]
