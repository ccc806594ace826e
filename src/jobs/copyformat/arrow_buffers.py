"""An Arrow column of strings as the bytes that it holds: they lie end to end in its data buffer.

https://arrow.apache.org/docs/format/Columnar.html#variable-size-binary-layout
"""

from __future__ import annotations

import struct

import pyarrow as pa


def joined(texts: pa.Array) -> memoryview:
    """The bytes of all strings, one after the other, without a copy."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):  # of no strings, there may be no offsets either
        return memoryview(b"")
    offset = struct.Struct("q" if pa.types.is_large_string(texts.type) else "i")
    [start] = offset.unpack_from(offsets, texts.offset * offset.size)
    [end] = offset.unpack_from(offsets, (texts.offset + len(texts)) * offset.size)
    return memoryview(data)[start:end]
