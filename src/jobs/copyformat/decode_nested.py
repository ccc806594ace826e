"""Converts what PyArrow's parser left as text, arrays and binary, by whole columns.

`decode_spark` does the same in the JVM, which a Python data source does not have behind it.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json
from pyspark.sql import types as t

from jobs.copyformat import arrow_buffers
from jobs.copyformat.decode_arrow import arrow_type_of, converted
from jobs.copyformat.decode_spark import refusal
from jobs.copyformat.read_types import WRONG_SHAPE, ExtractColumn
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
    return _binary(texts) if isinstance(column.element, t.BinaryType) else texts


def _binary(texts: pa.Array) -> pa.Array:
    r"""Convert `\x0a1b`. Without the prefixes, the digits of all values are contiguous, and so are the bytes."""
    digits = pc.utf8_slice_codeunits(texts, 2)
    lengths = pc.divide(pc.binary_length(digits), 2)
    return arrow_buffers.divided(unhexlify(arrow_buffers.joined(digits)), lengths, pa.binary())


def _arrays(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    """Convert `[["a",null],["b","c"]]`: JSON of texts, one line per value. PyArrow parses it; the elements follow."""
    if pc.any(pc.starts_with(texts, WRONG_SHAPE)).as_py():
        raise ExtractError(*refusal(column.name))
    lines = pc.binary_join_element_wise('{"v":', pc.fill_null(texts, "null"), "}\n", "")
    nested = pa.string()
    for _ in range(column.dimensions):
        nested = pa.list_(nested)
    data = arrow_buffers.joined(lines)
    read = json.read_json(
        pa.BufferReader(pa.py_buffer(data)),
        json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        json.ParseOptions(explicit_schema=pa.schema([("v", nested)]), unexpected_field_behavior="error"),
    )
    return _below(read.column("v").combine_chunks(), column)


def _below(values: pa.Array, column: ExtractColumn) -> pa.Array:
    """Return the same lists with converted elements."""
    if not pa.types.is_list(values.type):
        return _elements(values, column)
    return arrow_buffers.with_items(values, _below(values.values, column))


def _elements(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    if isinstance(column.element, t.BinaryType):
        return _binary(texts)
    if isinstance(column.element, t.BooleanType):
        return pc.equal(texts, "true")  # as in text, not as in COPY
    values = converted(pa.chunked_array([texts]), arrow_type_of(column.element), column.name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
