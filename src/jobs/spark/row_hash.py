"""The hash of a row that Spark intends to load, from its own values, by other expressions than those of a COPY line.

The server builds the same text from what it stored (dbaccess/load/row_text.py), and hashes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

from jobs.copyformat import encode_spark
from jobs.copyformat.encode_spark import TargetType
from jobs.copyformat.match_columns import Match
from jobs.copyformat.write_types import by_bytes, innermost
from jobs.dbaccess.load.row_text import (
    BYTES,
    CUT,
    DAY,
    DECIMAL,
    FLOAT4,
    FLOAT8,
    HASH_DIGITS,
    INTERVAL,
    PADDED,
    PLAIN,
    PRESENCE,
    ROUNDED,
    TIMESTAMP,
    TRIMMED,
    UUID,
    Form,
)

_SEPARATOR = "\x1f"

_SECOND = 1_000_000
"""In microseconds."""

_DAY = 86_400
"""In seconds."""

_MONTH, _YEAR = 30 * _DAY, 31_557_600
"""In seconds, as in the epoch of a PostgreSQL interval."""

_PLAIN_DIGITS = 6
"""Java writes numbers with so many digits after the point without an exponent, however small they are."""

_EPOCH_2000 = 946_684_800 * _SECOND
"""PostgreSQL's own epoch, from which it rounds."""


def row_hash(values: Sequence[Column], matches: Sequence[Match], forms: Sequence[Form]) -> Column:
    """Return the hash of a row: 8 bytes."""
    fields = [
        _text(_stated(value, match.spark_type), by_bytes(match.spark_type), form, match)
        for value, match, form in zip(values, matches, forms)
    ]
    joined = f.concat_ws(_SEPARATOR, *(f.coalesce(field, f.lit("")) for field in fields))
    flags = f.concat_ws(_SEPARATOR, *(f.when(value.isNull(), "t").otherwise("f") for value in values))
    text = f.when(reduce(or_, (value.isNull() for value in values)), f.concat(joined, flags)).otherwise(joined)
    return f.unhex(f.substring(f.md5(text.cast("binary")), 1, HASH_DIGITS))


def _stated(value: Column, kind: t.DataType) -> Column:
    plain = by_bytes(kind)
    return value if plain == kind else value.cast(plain)


def _text(value: Column, kind: t.DataType, form: Form, match: Match) -> Column:
    """Return a value in its form; NULL for NULL, except for PRESENCE."""
    if form.element is not None:
        return _array(value, kind, form.element, match)
    if form.is_sent or form.kind == UUID:
        sent = encode_spark.text_of(value, kind, _target_type(match))
        return _changed(sent, form)
    made = {
        PRESENCE: lambda: f.lit(""),
        PLAIN: lambda: _flag(value) if isinstance(kind, t.BooleanType) else value.cast("string"),
        DECIMAL: lambda: _decimal(value, kind, form.scale),
        ROUNDED: lambda: _decimal(value, kind, form.scale),
        FLOAT4: lambda: _bits(value, kind, t.FloatType()),
        FLOAT8: lambda: _bits(value, kind, t.DoubleType()),
        BYTES: lambda: f.lower(f.hex(value)),
        DAY: lambda: f.unix_date(value).cast("string"),
        TIMESTAMP: lambda: _timestamp_micros(value, form, match).cast("string"),
        INTERVAL: lambda: _interval_micros(value, kind).cast("string"),
    }
    return made[form.kind]()


def _changed(sent: Column, form: Form) -> Column:
    """Return a text as the server stores it."""
    if form.kind == UUID:
        return f.lower(f.regexp_replace(sent, "[-{}]", ""))
    if form.kind == PADDED:
        return f.rpad(sent, form.scale, " ")
    if form.kind == CUT:
        # Octets are not counted, and most texts have fewer than the column has characters.
        is_longer = (f.octet_length(sent) > form.scale) & (f.length(sent) > form.scale)
        return f.when(is_longer, f.left(sent, f.lit(form.scale))).otherwise(sent)
    return f.rtrim(sent) if form.kind == TRIMMED else sent


def _target_type(match: Match) -> TargetType:
    column = match.target
    return TargetType(column.element or column.base_type, column.element_category or column.category)


def _flag(value: Column) -> Column:
    return f.when(value, "t").when(~value, "f")


def _decimal(value: Column, kind: t.DataType, scale: int) -> Column:
    """Return a number with so many digits after the point, rounded half away from zero, as in PostgreSQL."""
    if not isinstance(kind, t.DecimalType) or kind.scale == 0:
        return value.cast("string")
    rounded = f.round(value, scale) if scale < kind.scale else value
    text = rounded.cast("string")
    if scale <= _PLAIN_DIGITS:
        return text
    # Without ANSI mode, Spark writes small numbers as -1.2E-10. These are its digits.
    digits = f.lpad(f.regexp_replace(text, r"^-|\.|E.*$", ""), scale, "0")
    plain = f.concat(f.when(rounded < 0, "-").otherwise(""), f.lit("0."), digits)
    return f.when(text.contains("E"), plain).otherwise(text)


def _bits(value: Column, kind: t.DataType, own: t.DataType) -> Column:
    """Return a float's bits as a number. A value of another type is first parsed as the server parses its text."""
    is_double = isinstance(own, t.DoubleType)
    name, method = ("Double", "doubleToLongBits") if is_double else ("Float", "floatToIntBits")
    number = value if kind == own else value.cast("string").cast(own)
    there = f.coalesce(number, f.lit(0).cast(own))
    bits = f.call_function("java_method", f.lit(f"java.lang.{name}"), f.lit(method), there)
    return f.when(f.isnan(there), "NaN").when(value.isNotNull(), bits)


def _timestamp_micros(value: Column, form: Form, match: Match) -> Column:
    base = match.target.element or match.target.base_type
    if base == "timestamptz":
        micros = f.unix_micros(value.cast(t.TimestampType()))
    else:
        micros = _local_micros(value.cast(t.TimestampNTZType()))
    return micros if form.scale == 6 else _rounded(micros, 10 ** (6 - form.scale))  # noqa: PLR2004 - all of them


def _local_micros(value: Column) -> Column:
    """Return the local time since 1970, independent of the session time zone."""
    seconds = f.unix_date(value.cast(t.DateType())).cast("bigint") * _DAY + f.hour(value) * 3_600 + f.minute(value) * 60
    return seconds * _SECOND + (f.extract(f.lit("SECOND"), value) * _SECOND).cast("bigint")


def _rounded(micros: Column, step: int) -> Column:
    """Return a number rounded half away from PostgreSQL's epoch."""
    since = micros - f.lit(_EPOCH_2000)
    steps = f.call_function("div", f.abs(since) + step // 2, f.lit(step)) * step
    return f.when(since < 0, -steps).otherwise(steps) + f.lit(_EPOCH_2000)


def _interval_micros(value: Column, kind: t.DataType) -> Column:
    def part(unit: str, of: Column) -> Column:
        return f.extract(f.lit(unit), of).cast("decimal(8,6)" if unit == "SECOND" else "bigint")

    if isinstance(kind, t.YearMonthIntervalType):
        whole = value.cast(t.YearMonthIntervalType())
        return (part("YEAR", whole) * _YEAR + part("MONTH", whole) * _MONTH) * _SECOND
    whole = value.cast(t.DayTimeIntervalType())
    minutes = (part("DAY", whole) * 24 + part("HOUR", whole)) * 60 + part("MINUTE", whole)
    return minutes * 60 * _SECOND + (part("SECOND", whole) * _SECOND).cast("bigint")


def _array(value: Column, kind: t.DataType, element: Form, match: Match) -> Column:
    """Return `[1:2][1:3]` and the elements of all dimensions in order; an empty text without elements."""
    dimensions, items, inner = [], value, kind
    nested = value
    while isinstance(inner, t.ArrayType):
        dimensions.append(f.concat(f.lit("[1:"), f.size(nested).cast("string"), f.lit("]")))
        if isinstance(inner.elementType, t.ArrayType):
            items = f.flatten(items)
            nested = f.get(nested, f.lit(0))
        inner = inner.elementType
    last = innermost(kind)

    def sized(item: Column) -> Column:
        text = _text(item, last, element, match)
        return f.coalesce(f.concat(f.octet_length(text).cast("string"), f.lit(":"), text), f.lit(":"))

    texts = f.array_join(f.transform(items, sized), ",")
    return f.when(f.size(items) > 0, f.concat(*dimensions, texts)).when(value.isNotNull(), f.lit(""))
