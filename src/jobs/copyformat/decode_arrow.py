"""Decodes blocks of COPY's text format to Arrow batches with PyArrow: whole columns, without a Python object per value.

Types for which PyArrow has no parser (binary and nested types) stay text, which `decode_spark` converts in the JVM.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv
from pyspark.sql import types as t

from jobs.copyformat.decode_spark import refusal
from jobs.copyformat.read_types import NOT_FINITE, ExtractColumn
from jobs.copyformat.text import iso_dates
from jobs.copyformat.text.copy_text import load
from jobs.dbaccess.copy_text import NULL
from jobs.dbaccess.errors import ExtractError

_NATIVE: dict[type[t.DataType], pa.DataType] = {
    t.BooleanType: pa.bool_(),
    t.ShortType: pa.int16(),
    t.IntegerType: pa.int32(),
    t.LongType: pa.int64(),
    t.FloatType: pa.float32(),
    t.DoubleType: pa.float64(),
    t.DateType: pa.date32(),
    t.TimestampNTZType: pa.timestamp("us"),
    t.TimestampType: pa.timestamp("us", "UTC"),
}
_PARSE = csv.ParseOptions(delimiter="\t", quote_char=False, double_quote=False, ignore_empty_lines=False)

_MARK = "\ufeff".encode()


def carried_type(column: ExtractColumn) -> t.DataType:
    """Return the Spark type in which a column leaves the worker: its own, or text."""
    if column.dimensions or isinstance(column.element, (t.BinaryType, t.ArrayType, t.MapType, t.StructType)):
        return t.StringType()
    return column.element


def batches(blocks: Iterator[bytes], columns: Sequence[ExtractColumn]) -> Iterator[pa.RecordBatch]:
    """Parse blocks of whole lines.

    Raises:
        ExtractError: A column contains a value that its Spark type cannot represent.
    """
    arrow_types = {str(place): arrow_type_of(carried_type(column)) for place, column in enumerate(columns)}
    for block in blocks:
        table = _parse(block, arrow_types, columns)
        yield from table.to_batches()


def arrow_type_of(spark_type: t.DataType) -> pa.DataType:
    """Return the Arrow type of a scalar's values; text if PyArrow has no parser."""
    if isinstance(spark_type, t.DecimalType):
        return pa.decimal128(spark_type.precision, spark_type.scale)
    return _NATIVE.get(type(spark_type), pa.string())


def _read(block: bytes, arrow_types: dict[str, pa.DataType]) -> pa.Table:
    if block.startswith(_MARK):
        block = _MARK + block  # PyArrow would take it for a byte order mark, and remove it
    return csv.read_csv(
        pa.BufferReader(block),
        csv.ReadOptions(column_names=list(arrow_types), use_threads=False, block_size=len(block) + 1),
        _PARSE,
        csv.ConvertOptions(
            column_types={name: _as_sent(arrow_type) for name, arrow_type in arrow_types.items()},
            null_values=[NULL],
            strings_can_be_null=True,
            true_values=["t"],
            false_values=["f"],
            check_utf8=False,
        ),
    )


def _parse(block: bytes, arrow_types: dict[str, pa.DataType], columns: Sequence[ExtractColumn]) -> pa.Table:
    try:
        table = _read(block, arrow_types).cast(pa.schema(arrow_types))
    except pa.ArrowInvalid:  # a year before 1 or after 9999, or a value that no Spark type can represent
        texts = _read(block, dict.fromkeys(arrow_types, pa.string()))
        arrays = [
            texts.column(place).cast(_as_sent(arrow_type)).cast(arrow_type)
            if pa.types.is_date(arrow_type)
            else converted(texts.column(place), arrow_type, columns[place].name)
            for place, arrow_type in enumerate(arrow_types.values())
        ]
        table = pa.table(arrays, names=list(arrow_types))
    _check_dates(table, columns)
    if b"\\" not in block:
        return table
    arrays = [_unescaped(array) if pa.types.is_string(array.type) else array for array in table.columns]
    return pa.table(arrays, names=table.column_names)


def _check_dates(table: pa.Table, columns: Sequence[ExtractColumn]) -> None:
    """Raise ExtractError if a date is infinite."""
    for array, column in zip(table.columns, columns):
        if pa.types.is_date(array.type) and pc.max(array.cast(pa.int32())).as_py() == NOT_FINITE:
            raise ExtractError(*refusal(column.name))


def _unescaped(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Resolve COPY's escapes, if the column contains any."""
    if not pc.any(pc.match_substring(texts, "\\")).as_py():
        return texts
    return load(texts, pc.replace_substring)


def converted(texts: pa.ChunkedArray, arrow_type: pa.DataType, name: str) -> pa.ChunkedArray:
    """Convert a column of texts to its type, including dates and timestamps of any year.

    Raises:
        ExtractError: The column contains a value that its type cannot represent.
    """
    if pa.types.is_string(arrow_type):
        return texts
    if not (pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type)):
        return _cast(texts, arrow_type, name)
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(texts, _PLAIN)), False)
    plain = _cast(pc.if_else(odd, pa.scalar(None, pa.string()), texts), arrow_type, name)
    read = iso_dates.days if pa.types.is_date(arrow_type) else iso_dates.microseconds
    number = pa.int32() if pa.types.is_date(arrow_type) else pa.int64()
    try:
        values = pa.array([read(text) for text in texts.filter(odd).to_pylist()], number).cast(arrow_type)
    except (iso_dates.NotFinite, OverflowError):  # the latter for a timestamp after 294247-01-10
        raise ExtractError(*refusal(name)) from None
    return pc.replace_with_mask(plain.combine_chunks(), odd.combine_chunks(), values)


_PLAIN = r"^\d{4}-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d+)?(?:[+-]\d\d(?::\d\d)?)?)?$"
"""The formats that PyArrow can parse: only years of four digits, and no offsets with seconds."""


def _as_sent(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type of the received text: a date is a number of days, and a timestamptz is in UTC, without offset."""
    if pa.types.is_date(arrow_type):
        return pa.int32()
    return pa.timestamp(arrow_type.unit) if pa.types.is_timestamp(arrow_type) else arrow_type


def _cast(texts: pa.ChunkedArray, arrow_type: pa.DataType, name: str) -> pa.ChunkedArray:
    try:
        if pa.types.is_boolean(arrow_type):
            return pc.equal(texts, "t")
        if pa.types.is_timestamp(arrow_type) and arrow_type.tz is not None:
            texts = pc.replace_substring_regex(texts, r"(:\d\d:\d\d(?:\.\d+)?)$", r"\1Z")
        return texts.cast(arrow_type)
    except pa.ArrowInvalid:
        raise ExtractError(*refusal(name)) from None
