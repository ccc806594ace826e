"""Arrow columns of variable length by their buffers: values are stored end to end, and offsets mark their ends.

https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-layout
"""

from __future__ import annotations

import struct

import pyarrow as pa
import pyarrow.compute as pc


def joined(values: pa.Array) -> memoryview:
    """Return the bytes of all strings or binary values, one after another, without copying them."""
    _, offsets, data = values.buffers()
    if data is None or not len(values):  # without values, there may be no offsets
        return memoryview(b"")
    offset = struct.Struct("q" if pa.types.is_large_string(values.type) else "i")
    [start] = offset.unpack_from(offsets, values.offset * offset.size)
    [end] = offset.unpack_from(offsets, (values.offset + len(values)) * offset.size)
    return memoryview(data)[start:end]


def divided(data: bytes, lengths: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    """Return the inverse of `joined`: values of a type, cut from bytes. A NULL length gives a NULL value."""
    return pa.Array.from_buffers(arrow_type, len(lengths), [*_layout(lengths), pa.py_buffer(data)])


def lists(items: pa.Array, lengths: pa.Array) -> pa.Array:
    """Return lists of items that are stored one after another. A NULL length gives a NULL list."""
    return pa.Array.from_buffers(pa.list_(items.type), len(lengths), _layout(lengths), children=[items])


def with_items(values: pa.Array, items: pa.Array) -> pa.Array:
    """Return the same lists with other items."""
    return pa.Array.from_buffers(
        pa.list_(items.type),
        len(values),
        values.buffers()[:2],
        null_count=values.null_count,
        offset=values.offset,
        children=[items],
    )


def _layout(lengths: pa.Array) -> list[pa.Buffer]:
    """Return which values are not NULL, and the offsets of their ends."""
    ends = pc.cumulative_sum(pc.fill_null(lengths, 0)).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), ends])
    return [pa.array(lengths.is_valid()).buffers()[1], offsets.buffers()[1]]
