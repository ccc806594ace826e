"""Which of Spark's filters mean the same in PostgreSQL, and their SQL. What does not surely is left to Spark.

Strings are equal where their bytes are, to Spark; so they are compared by the collation "C", beside the column's own,
which an index may have. Their order is nobody's business here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Union

from pyspark.sql import datasource as d
from pyspark.sql import types as t

from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.spark.reading import Reading

_COMPARISONS: Mapping[type[d.Filter], str] = {
    d.EqualTo: "=",
    d.GreaterThan: ">",
    d.GreaterThanOrEqual: ">=",
    d.LessThan: "<",
    d.LessThanOrEqual: "<=",
}
_TEXTS = frozenset({"text", "varchar"})
"""Types of text that are compared as they are. (char(n) does not see blanks at its end.)"""


@dataclass(frozen=True)
class Comparison:
    """A column beside values: all of the same type, as text that PostgreSQL reads.

    Attributes:
        operator: such as "="; "IN".
        base: pg_type's name of the values' type.
    """

    column: str
    operator: str
    values: tuple[str, ...]
    base: str

    def sql(self, session: Session) -> str:
        """The condition; the server itself writes the literals."""
        written = session.run("SELECT quote_literal(v) FROM unnest(%s::text[]) v", list(self.values))
        literals = ", ".join(f"{literal}::{self.base}" for [literal] in written)
        name = quote_name(self.column)
        listed = f"({literals})" if self.operator == "IN" else literals
        condition = f"{name} {self.operator} {listed}"
        if self.base != "text":
            return condition
        return f'({condition} AND {name} COLLATE "C" {self.operator} {listed})'


@dataclass(frozen=True)
class Missing:
    """Whether a column is NULL."""

    column: str

    def sql(self, _: Session) -> str:
        """The condition."""
        return f"{quote_name(self.column)} IS NULL"


@dataclass(frozen=True)
class Negation:
    """Not a condition; of NULL, NULL."""

    inner: Condition

    def sql(self, session: Session) -> str:
        """The condition."""
        return f"NOT ({self.inner.sql(session)})"


Condition = Union[Comparison, Missing, Negation]


def translated(found: d.Filter, readings: Sequence[Reading]) -> Condition | None:
    """The same in PostgreSQL, or None where that is not sure."""
    if isinstance(found, d.Not):
        inner = translated(found.child, readings)
        return None if inner is None else Negation(inner)
    path = getattr(found, "attribute", ())
    reading = next((reading for reading in readings if (reading.name,) == path), None)
    if reading is None:
        return None
    if isinstance(found, d.IsNull):
        return Missing(reading.name)
    if isinstance(found, d.IsNotNull):
        return Negation(Missing(reading.name))
    if isinstance(found, d.In):
        return _comparison(reading, "IN", tuple(found.value))
    operator = _COMPARISONS.get(type(found))
    return _comparison(reading, operator, (found.value,)) if operator else None  # type: ignore[attr-defined] # as told by _COMPARISONS


def _comparison(reading: Reading, operator: str, values: tuple[object, ...]) -> Condition | None:
    if not values or not reading.base:
        return None
    if isinstance(reading.element, t.StringType):
        if reading.base not in _TEXTS or operator not in {"=", "IN"} or not all(map(_is_text, values)):
            return None
        return Comparison(reading.name, operator, tuple(map(str, values)), "text")
    write = _WRITERS.get(type(reading.element))
    texts = [write(value) if write else None for value in values]
    known = [text for text in texts if text is not None]
    return Comparison(reading.name, operator, tuple(known), reading.base) if len(known) == len(texts) else None


def _is_text(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value


def _integer(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _decimal(value: object) -> str | None:
    return format(value, "f") if isinstance(value, Decimal) else _integer(value)


def _boolean(value: object) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None


def _date(value: object) -> str | None:
    return value.isoformat() if isinstance(value, dt.date) and not isinstance(value, dt.datetime) else None


def _moment(zoned: bool) -> Callable[[object], str | None]:
    def write(value: object) -> str | None:
        fits = isinstance(value, dt.datetime) and (value.tzinfo is not None) == zoned
        return value.isoformat() if isinstance(value, dt.datetime) and fits else None

    return write


_WRITERS: Mapping[type[t.DataType], Callable[[object], str | None]] = {
    t.ShortType: _integer,
    t.IntegerType: _integer,
    t.LongType: _integer,
    t.DecimalType: _decimal,
    t.BooleanType: _boolean,
    t.DateType: _date,
    t.TimestampType: _moment(zoned=True),
    t.TimestampNTZType: _moment(zoned=False),
}
