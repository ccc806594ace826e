"""Encodes Arrow batches as lines of COPY's text format, by whole columns: the inverse of `decode_arrow`.

`encode_spark` does this in the JVM. A Python data source receives Arrow batches and cannot use Column expressions.
Types that cannot be encoded identically here are refused by name before anything is copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import types as t

from jobs.copyformat import arrow_buffers
from jobs.copyformat.composed.fitting import is_vector
from jobs.copyformat.match_columns import Match
from jobs.copyformat.text.copy_text import dump
from jobs.copyformat.text.timestamp_text import BEFORE_JULIAN_DAYS, JULIAN_DAY_OF_1970
from jobs.copyformat.write_types import JSON, innermost, is_string
from jobs.dbaccess.catalog.kinds import SPATIAL
from jobs.dbaccess.copy_text import ARRAY_ESCAPES, COPY_ESCAPES, NULL
from jobs.dbaccess.errors import DataRejected, UsageError

NOT_UTF8_HINT = "Decode the column from its own encoding, or cast it to binary."

_DAY = 86_400_000_000
"""Microseconds."""

_ALIKE = (t.BooleanType, t.ByteType, t.ShortType, t.IntegerType, t.LongType)
"""Types that Arrow writes as text like Spark does, so that they may go into text columns."""

_NUMBERS = (t.FloatType, t.DoubleType, t.DecimalType)
_TIMESTAMPS: dict[type[t.DataType], frozenset[str]] = {
    t.DateType: frozenset({"date", "timestamp"}),
    t.TimestampType: frozenset({"timestamptz"}),
    t.TimestampNTZType: frozenset({"timestamp"}),
}
"""The types into which they may go. Others depend on the session time zone, which is the JVM's."""


def check(matches: Sequence[Match]) -> None:
    """Refuse columns that cannot be encoded here.

    Raises:
        UsageError: Names all of them.
    """
    refused = [
        f"{match.source!r} is a {match.spark_type.simpleString()} for {match.target.type_name}"
        for match in matches
        if not _takes(match)
    ]
    if refused:
        raise UsageError(
            f"pgcopy cannot write {'; '.join(refused)}.",
            "Cast it to string (for JSON by to_json) or to the column's own type, or use load_dataframe.",
        )


def _takes(match: Match) -> bool:
    spark_type, column = innermost(match.spark_type), match.target
    if column.kind and not is_string(spark_type) and not isinstance(spark_type, t.NullType):
        return _is_vector(match) or _is_spatial(match)
    if isinstance(match.spark_type, t.ArrayType) and column.base_type in JSON:
        return False
    base = column.element if isinstance(match.spark_type, t.ArrayType) else column.base_type
    if isinstance(spark_type, tuple(_TIMESTAMPS)):
        return base in _TIMESTAMPS[type(spark_type)]
    if isinstance(spark_type, _NUMBERS):
        return base in {"int2", "int4", "int8", "float4", "float8", "numeric"}
    return is_string(spark_type) or isinstance(spark_type, (*_ALIKE, t.BinaryType, t.NullType, t.DayTimeIntervalType))


def _is_vector(match: Match) -> bool:
    return not match.target.element and is_vector(match.spark_type, match.target.kind)


def _is_spatial(match: Match) -> bool:
    return match.target.kind in SPATIAL and isinstance(match.spark_type, t.BinaryType)


def lines(batch: pa.RecordBatch, matches: Sequence[Match]) -> memoryview:
    """Return the rows of a batch as lines. Columns are selected by name, in the order of the matches.

    Raises:
        DataRejected: A column contains bytes that are not UTF-8.
    """
    for match in matches:
        if is_string(innermost(match.spark_type)):
            _check_utf8(batch.column(match.source), match)
    cells = [_field(_with_short_offsets(batch.column(match.source)), match) for match in matches]
    rows = pc.binary_join_element_wise(*cells, "\t") if len(cells) > 1 else cells[0]
    return arrow_buffers.joined(pc.binary_join_element_wise(rows, "\n", ""))


def _with_short_offsets(values: pa.Array) -> pa.Array:
    """Return the batch without Arrow's large types, which spark.sql.execution.arrow.useLargeVarTypes enables."""
    short = _short(values.type)
    return values if short == values.type else values.cast(short)


def _short(arrow_type: pa.DataType) -> pa.DataType:
    if pa.types.is_list(arrow_type):
        return pa.list_(_short(arrow_type.value_type))
    if pa.types.is_large_string(arrow_type):
        return pa.string()
    return pa.binary() if pa.types.is_large_binary(arrow_type) else arrow_type


def _check_utf8(values: pa.Array, match: Match) -> None:
    """Refuse strings whose bytes are not UTF-8, with the name of the column.

    Raises:
        DataRejected: There are such strings.
    """
    try:
        values.validate(full=True)
    except pa.ArrowInvalid:
        raise DataRejected(f"The column {match.source!r} holds bytes that are not UTF-8.", NOT_UTF8_HINT) from None


def _field(values: pa.Array, match: Match) -> pa.Array:
    """Return the text of a column's values between two tabs."""
    spark_type = match.spark_type
    if _is_spatial(match):
        return pc.fill_null(_hex(values, prefix=""), NULL)
    if isinstance(spark_type, t.ArrayType):
        texts = _array(values, spark_type.elementType, "[]" if _is_vector(match) else "{}")
    else:
        texts = _text(values, spark_type)
    if _may_need_escapes(spark_type):
        texts = _replaced(texts, COPY_ESCAPES)
    return pc.fill_null(texts, NULL)


def _may_need_escapes(spark_type: t.DataType) -> bool:
    return is_string(innermost(spark_type)) or isinstance(innermost(spark_type), t.BinaryType)


def _replaced(texts: pa.Array, escapes: Sequence[tuple[str, str]]) -> pa.Array:
    """Escape each character, if any value contains it."""

    def replace(values: pa.Array, character: str, escape: str) -> pa.Array:
        if not pc.any(pc.match_substring(values, character)).as_py():
            return values
        return pc.replace_substring(values, character, escape)

    return dump(texts, replace, escapes)


def _text(values: pa.Array, spark_type: t.DataType) -> pa.Array:
    """Return values as text that PostgreSQL can parse; NULL for NULL."""
    if isinstance(spark_type, t.BinaryType):
        return _hex(values)
    if isinstance(spark_type, t.DateType):
        return _julian_days(pc.add(values.cast(pa.int32()).cast(pa.int64()), JULIAN_DAY_OF_1970))
    if isinstance(spark_type, (t.TimestampType, t.TimestampNTZType)):
        return _timestamps(values.cast(pa.int64()), "+00" if isinstance(spark_type, t.TimestampType) else "")
    if isinstance(spark_type, t.DayTimeIntervalType):
        return _intervals(values.cast(pa.int64()))
    return values.cast(pa.string())


def _hex(values: pa.Array, prefix: str = "\\x") -> pa.Array:
    r"""Return `\x0a1b`. The digits of all values are contiguous, two per byte."""
    digits = arrow_buffers.joined(values).hex().encode()
    texts = arrow_buffers.divided(digits, pc.multiply(pc.binary_length(values), 2), pa.string())
    return pc.binary_join_element_wise(prefix, texts, "")


def _julian_days(days: pa.Array) -> pa.Array:
    """Return dates by day numbers, which are exact in every era and with any DateStyle."""
    texts = pc.binary_join_element_wise("J", days.cast(pa.string()), "")
    return pc.if_else(pc.less(days, 0), BEFORE_JULIAN_DAYS, texts)


def _timestamps(microseconds: pa.Array, zone: str) -> pa.Array:
    """Return `J2440588 01:02:03.000004+00`."""
    towards_zero = pc.divide(microseconds, _DAY)
    rest = pc.subtract(microseconds, pc.multiply(towards_zero, _DAY))
    before = pc.less(rest, 0)
    days = pc.subtract(towards_zero, before.cast(pa.int64()))
    clock = pc.if_else(before, pc.add(rest, _DAY), rest).cast(pa.time64("us")).cast(pa.string())
    texts = _julian_days(pc.add(days, JULIAN_DAY_OF_1970))
    return pc.binary_join_element_wise(texts, pc.binary_join_element_wise(clock, zone, ""), " ")


def _intervals(microseconds: pa.Array) -> pa.Array:
    """Return `-2 days -03:04:05.000006`: days and time, each with its sign."""
    days = pc.divide(microseconds, _DAY)
    rest = pc.subtract(microseconds, pc.multiply(days, _DAY))
    sign = pc.if_else(pc.less(rest, 0), "-", "")
    clock = pc.abs(rest).cast(pa.time64("us")).cast(pa.string())
    return pc.binary_join_element_wise(days.cast(pa.string()), " days ", sign, clock, "")


def _array(values: pa.Array, spark_type: t.DataType, brackets: str = "{}") -> pa.Array:
    """Return `{1,NULL,3}`, `{{"a"},{"b"}}`; or in other brackets, `[1,2.5]`."""
    inner = values.flatten()
    if isinstance(spark_type, t.ArrayType):
        texts = _array(inner, spark_type.elementType)
    else:
        texts = _text(inner, spark_type)
        if _may_need_escapes(spark_type):
            texts = pc.binary_join_element_wise('"', _replaced(texts, ARRAY_ESCAPES), '"', "")
    listed = arrow_buffers.lists(pc.fill_null(texts, "NULL"), pc.list_value_length(values))
    return pc.binary_join_element_wise(brackets[0], pc.binary_join(listed, ","), brackets[1], "")
