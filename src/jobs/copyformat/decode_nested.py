"""Converts what PyArrow's parser left as text, nested types and binary, by whole columns.

`decode_spark` does the same in the JVM, which a Python data source does not have behind it.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from json import loads

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json
from pyspark.sql import types as t

from jobs.copyformat import arrow_buffers
from jobs.copyformat.decode_arrow import arrow_type_of, carried_type, converted
from jobs.copyformat.decode_spark import refusal
from jobs.copyformat.read_types import NOT_FINITE, WRONG_SHAPE, ExtractColumn
from jobs.dbaccess.errors import ExtractError


def finished(batches: Iterable[pa.RecordBatch], columns: Sequence[ExtractColumn]) -> Iterator[pa.RecordBatch]:
    """Yield batches of `decode_arrow` with the columns' names and final types.

    Raises:
        ExtractError: A column contains a value that its Spark type cannot represent.
    """
    names = [column.name for column in columns]
    for batch in batches:
        arrays = [_finished(array, column) for array, column in zip(batch.columns, columns)]
        yield pa.RecordBatch.from_arrays(arrays, names=names)


def _finished(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    if column.dimensions:
        return _arrays(texts, column)
    return texts if carried_type(column) == column.element else _value(texts, column)


def _value(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    """Convert values of binary or nested types that are no arrays of PostgreSQL's."""
    if isinstance(column.element, t.BinaryType):
        return _binary(texts)
    if isinstance(column.element, t.StructType):
        return _records(texts, column)
    return _vectors(texts) if isinstance(column.element, t.ArrayType) else _maps(texts)


def _binary(texts: pa.Array) -> pa.Array:
    r"""Convert `\x0a1b`. Without the prefixes, the digits of all values are contiguous, and so are the bytes."""
    digits = pc.utf8_slice_codeunits(texts, 2)
    lengths = pc.divide(pc.binary_length(digits), 2)
    return arrow_buffers.divided(unhexlify(arrow_buffers.joined(digits)), lengths, pa.binary())


def _vectors(texts: pa.Array) -> pa.Array:
    """Convert `[1,0.5]`."""
    numbers = pc.split_pattern(pc.utf8_slice_codeunits(texts, 1, -1), ",")
    return arrow_buffers.with_items(numbers, numbers.values.cast(pa.float32()))


def _maps(texts: pa.Array) -> pa.Array:
    """Convert `{"a": "1", "b": null}`. Arrow has no parser for objects of any keys."""
    pairs = [None if text is None else list(loads(text).items()) for text in texts.to_pylist()]
    return pa.array(pairs, pa.map_(pa.string(), pa.string()))


def _records(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    """Convert `["1",null]`: the texts of the fields, each in the form in which a column of its type is sent."""
    rows = _parsed(texts, 1)
    fields = [
        _field(pc.list_element(rows, place), replace(field, name=column.name))  # errors name the column
        for place, field in enumerate(column.fields)
    ]
    return pa.StructArray.from_arrays(fields, names=[field.name for field in column.fields], mask=rows.is_null())


def _field(texts: pa.Array, field: ExtractColumn) -> pa.Array:
    if field.dimensions:
        return _arrays(texts, field)
    if isinstance(field.element, t.DateType):
        days = texts.cast(pa.int32())
        if pc.max(days).as_py() == NOT_FINITE:
            raise ExtractError(*refusal(field.name))
        return days.cast(pa.date32())
    return _elements(texts, field)


def _arrays(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    """Convert `[["a",null],["b","c"]]`: JSON of texts. The elements follow."""
    if pc.any(pc.starts_with(texts, WRONG_SHAPE)).as_py():
        raise ExtractError(*refusal(column.name))
    return _below(_parsed(texts, column.dimensions), column)


def _parsed(texts: pa.Array, dimensions: int) -> pa.Array:
    """Return lists of texts, of so many dimensions, from JSON. PyArrow parses it, one line per value."""
    nested = pa.string()
    for _ in range(dimensions):
        nested = pa.list_(nested)
    if not len(texts):  # of elements, there may be none
        return pa.array([], nested)
    lines = pc.binary_join_element_wise('{"v":', pc.fill_null(texts, "null"), "}\n", "")
    data = arrow_buffers.joined(lines)
    read = json.read_json(
        pa.BufferReader(pa.py_buffer(data)),
        json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        json.ParseOptions(explicit_schema=pa.schema([("v", nested)]), unexpected_field_behavior="error"),
    )
    return read.column("v").combine_chunks()


def _below(values: pa.Array, column: ExtractColumn) -> pa.Array:
    """Return the same lists with converted elements."""
    if not pa.types.is_list(values.type):
        return _elements(values, column)
    return arrow_buffers.with_items(values, _below(values.values, column))


def _elements(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    if carried_type(replace(column, dimensions=0)) != column.element:
        return _value(texts, column)
    if isinstance(column.element, t.BooleanType):
        return pc.equal(texts, "true")  # as in text, not as in COPY
    values = converted(pa.chunked_array([texts]), arrow_type_of(column.element), column.name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
