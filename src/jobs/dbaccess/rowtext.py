"""A row as one text that Spark (spark/rowhash.py) and the server write alike, for hashes of both to be compared.

A value is not written as COPY has it: what the server stored is written anew, by its type, in a form that Spark can
make of its own value. Fields end in a comma. A text is followed by its length, so that no two rows have one text.
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
TEXT, TRIMMED = "text", "trimmed"
"""Text; and text without trailing blanks, for types of a length."""
DECIMAL = "decimal"
"""With a fixed number of digits after the point."""
FLOAT4, FLOAT8 = "float4", "float8"
"""By their bits: two programs need not write a fraction alike."""
BYTES, UUID = "bytes", "uuid"
"""Hexadecimal digits."""
DAY, MOMENT, INTERVAL = "day", "moment", "interval"
"""Days, and microseconds, since 1970; and microseconds, a month having 30 days and a year 365.25."""
ARRAY = "array"
"""The dimensions, then each element as a field."""
PRESENCE = "presence"
"""What cannot be compared: only whether it is NULL."""

_EXPRESSIONS = {
    PLAIN: "{}",
    TEXT: "{}::text",
    TRIMMED: "rtrim({}::text)",
    FLOAT4: "CASE WHEN {0} = 'NaN' THEN 'NaN' ELSE ('x' || encode(float4send({0}), 'hex'))::bit(32)::int4::text END",
    FLOAT8: "CASE WHEN {0} = 'NaN' THEN 'NaN' ELSE ('x' || encode(float8send({0}), 'hex'))::bit(64)::int8::text END",
    BYTES: "encode({}, 'hex')",
    UUID: "replace({}::text, '-', '')",
    DAY: "({} - date '1970-01-01')",
    MOMENT: "trunc(extract(epoch FROM {}) * 1000000)",
    INTERVAL: "trunc(extract(epoch FROM {}) * 1000000)",
    PRESENCE: "({} IS NULL)",
}

_MOST_ARGUMENTS = 90
"""PostgreSQL's functions take 100."""


@dataclass(frozen=True)
class Form:
    """How the values of a column are written.

    Attributes:
        kind: one of those above.
        scale: of DECIMAL, the digits after the point; of MOMENT, those of the column's seconds.
        element: of ARRAY, how an element is written.
    """

    kind: str
    scale: int = 0
    element: Form | None = None

    @property
    def is_text(self) -> bool:
        """Whether the text may hold a comma, so that its length follows it."""
        return self.kind in (TEXT, TRIMMED, ARRAY)

    @property
    def is_sent(self) -> bool:
        """Whether the text is the one that a COPY line has."""
        return self.kind in (TEXT, TRIMMED)

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
        parts = [part for name, form in zip(self.columns, self.forms) for part in self._field(quote_name(name), form)]
        return f"('x' || left(md5({self._octets(_concatenated(parts))}), {HASH_DIGITS}))::bit(64)::int8"

    @property
    def compared(self) -> tuple[str, ...]:
        """The columns whose values are compared."""
        return tuple(name for name, form in zip(self.columns, self.forms) if form.is_compared)

    @property
    def not_compared(self) -> tuple[str, ...]:
        """The columns of which only NULLs are."""
        return tuple(name for name, form in zip(self.columns, self.forms) if not form.is_compared)

    def _field(self, value: str, form: Form) -> list[str]:
        """What is joined for a value."""
        if form.kind == ARRAY and form.element is not None:
            text = self._array(value, form.element)
        elif form.kind == DECIMAL:
            text = f"round({value}, {form.scale})"
        else:
            text = _EXPRESSIONS[form.kind].format(value)
        return [text, "','", f"octet_length({self._octets(text)})", "','"] if form.is_text else [text, "','"]

    def _array(self, value: str, element: Form) -> str:
        item = _concatenated(self._field("item", element))
        items = f"SELECT string_agg({item}, '' ORDER BY place) FROM unnest({value}) WITH ORDINALITY AS u (item, place)"
        return f"CASE WHEN {value} IS NOT NULL THEN concat(array_dims({value}), ({items})) END"

    def _octets(self, text: str) -> str:
        return f"convert_to({text}, 'UTF8')" if self.recode else text


def measure(session: Session, rows: str, hash_of_row: str) -> Sum:
    """Of what a FROM clause gives, the number of rows and the sum of their hashes. Names must be pinned."""
    [[count, total]] = session.run(f"SELECT count(*), coalesce(sum({hash_of_row}), 0) FROM {rows}")
    return Sum(int(count), int(total))


def _concatenated(parts: Sequence[str]) -> str:
    """As concat has it: a NULL is no text."""
    if len(parts) > _MOST_ARGUMENTS:
        groups = [parts[start : start + _MOST_ARGUMENTS] for start in range(0, len(parts), _MOST_ARGUMENTS)]
        return _concatenated([_concatenated(group) for group in groups])
    return f"concat({', '.join(parts)})"
