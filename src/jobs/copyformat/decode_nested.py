"""What PyArrow's parser left as text, as what it stands for: arrays and binary, a column at once.

`decode_spark` does the same in the JVM; a data source of Spark's has no JVM behind it.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json
from pyspark.sql import types as t

from jobs.copyformat import arrow_buffers
from jobs.copyformat.decode_arrow import arrow_type, converted
from jobs.copyformat.decode_spark import refusal
from jobs.copyformat.read_types import WRONG_SHAPE, ExtractColumn
from jobs.dbaccess.errors import ExtractError


def finished(batches: Iterable[pa.RecordBatch], columns: Sequence[ExtractColumn]) -> Iterator[pa.RecordBatch]:
    """Batches of `decode_arrow`, with the columns' names and their own types.

    Raises:
        ExtractError: a column holds what its type in Spark cannot.
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
    r"""`\x0a1b`: without the prefixes, the digits of all values lie end to end, and so do the bytes they stand for."""
    digits = pc.utf8_slice_codeunits(texts, 2)
    lengths = pc.divide(pc.binary_length(digits), 2)
    return arrow_buffers.divided(unhexlify(arrow_buffers.joined(digits)), lengths, pa.binary())


def _arrays(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    """`[["a",null],["b","c"]]`: JSON of texts, a line for each value, read by PyArrow and converted below its lists."""
    if pc.any(pc.starts_with(texts, WRONG_SHAPE)).as_py():
        raise ExtractError(*refusal(column.name))
    lines = pc.binary_join_element_wise('{"v":', pc.fill_null(texts, "null"), "}\n", "")
    kind = pa.string()
    for _ in range(column.dimensions):
        kind = pa.list_(kind)
    data = arrow_buffers.joined(lines)
    read = json.read_json(
        pa.BufferReader(pa.py_buffer(data)),
        json.ReadOptions(use_threads=False, block_size=len(data) + 1),
        json.ParseOptions(explicit_schema=pa.schema([("v", kind)]), unexpected_field_behavior="error"),
    )
    return _below(read.column("v").combine_chunks(), column)


def _below(values: pa.Array, column: ExtractColumn) -> pa.Array:
    """The same lists around converted elements."""
    if not pa.types.is_list(values.type):
        return _elements(values, column)
    return arrow_buffers.with_items(values, _below(values.values, column))


def _elements(texts: pa.Array, column: ExtractColumn) -> pa.Array:
    if isinstance(column.element, t.BinaryType):
        return _binary(texts)
    if isinstance(column.element, t.BooleanType):
        return pc.equal(texts, "true")  # as text, and not as COPY writes it
    values = converted(pa.chunked_array([texts]), arrow_type(column.element), column.name)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
