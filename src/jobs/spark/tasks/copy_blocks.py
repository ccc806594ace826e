"""Blocks of COPY lines: a DataFrame's lines leave the JVM, and reach a task's Python, without a row being touched.

The JVM's length-prefixed strings are read from its socket and joined by C code.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pyspark import RDD
from pyspark.serializers import Serializer, SpecialLengths
from pyspark.sql import DataFrame

from jobs.copyformat.encode_spark import LINE
from jobs.dbaccess.load.copying.parts import Counted

if TYPE_CHECKING:
    from io import BufferedReader


def plan_parts(
    octets: DataFrame, merge: Callable[[int], int], *, hashed: bool = False, origins: bool = False
) -> RDD[Counted]:
    """Return an RDD of COPY blocks, with a partition for each part of the load.

    One RDD both counts the parts and copies them: two DataFrame actions could be planned differently. For the same
    reason its partitions are merged here, and not the DataFrame's.

    Args:
        octets: Finished COPY lines, in one binary column.
        merge: Returns how many parts to make of a number of partitions.
        hashed: Whether each line is preceded by the hash of its row.
        origins: Whether each line is preceded, after the hash, by its row's origin.
    """
    context = octets.sparkSession.sparkContext
    # PySpark has no public way to a Dataset's values as they are.
    jvm: Any = context._jvm  # noqa: SLF001 - see above
    dataset = getattr(octets._jdf, "as")(jvm.org.apache.spark.sql.Encoders.BINARY())  # noqa: SLF001 - see above
    rows = dataset.toJavaRDD()
    partitions = rows.getNumPartitions()
    parts = merge(partitions)
    merged = rows.coalesce(parts) if parts < partitions else rows
    if origins:
        return RDD(merged, context, OriginDeserializer(hashed))
    return RDD(merged, context, HashedDeserializer() if hashed else BlockDeserializer())


def as_octets(lines: DataFrame) -> DataFrame:
    """Return lines of text as binary. The JVM would decode strings that leave it.

    It would replace bytes that are not UTF-8 with U+FFFD, whereas the server rejects them.
    """
    return lines.select(lines[LINE].cast("binary").alias(LINE))


class BlockDeserializer(Serializer):
    """Reads the JVM's stream of strings (each a 4-byte length and its UTF-8) as blocks of COPY lines.

    Each string ends in its only newline, so one regular expression, run by C code, finds all complete strings in the
    reader's buffer. A length begins with a byte below 0x80; the marks between sections (PySpark's SpecialLengths) do
    not. The rest of the buffer matches the second branch, as an empty line: without it the search would start again at
    each of its bytes.
    """

    _FRAME = re.compile(rb"[\x00-\x7f](?s:...)([^\n]*\n)|(?s:.)+")
    _HEADER = struct.Struct("!i")

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends. Never read beyond it, because the next message begins there."""
        while True:
            lines = self._FRAME.findall(stream.peek())
            if lines and not lines[-1]:
                lines.pop()
            if lines:
                block = b"".join(lines)
                stream.read(len(block) + self._HEADER.size * len(lines))
                yield Counted(block, len(lines))
                continue
            line = self._read_one(stream)
            if line is None:
                return
            yield Counted(line, 1)

    def _read_one(self, stream: BufferedReader[Any]) -> bytes | None:
        """Read a line that is not yet complete in the buffer. Return None at the end of the section."""
        [length] = self._HEADER.unpack(stream.read(self._HEADER.size))
        return None if length == SpecialLengths.END_OF_DATA_SECTION else stream.read(length)


class HashedDeserializer(BlockDeserializer):
    """Reads the same where 8 bytes precede each line: its row's hash. The hashes are summed, and not passed on."""

    _FRAME = re.compile(rb"[\x00-\x7f](?s:...)((?s:.{8}))([^\n]*\n)|(?s:.)+")
    _HASH = 8

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends. Never read beyond it, because the next message begins there."""
        while True:
            frames = self._FRAME.findall(stream.peek())
            if frames and not frames[-1][1]:
                frames.pop()
            if frames:
                hashes, lines = zip(*frames)
                block = b"".join(lines)
                stream.read(len(block) + (self._HEADER.size + self._HASH) * len(lines))
                yield Counted(block, len(lines), self._sum(b"".join(hashes)))
                continue
            line = self._read_one(stream)
            if line is None:
                return
            yield Counted(line[self._HASH :], 1, self._sum(line[: self._HASH]))

    def _sum(self, hashes: bytes) -> int:
        return sum(struct.unpack(f"!{len(hashes) // self._HASH}q", hashes))


class OriginDeserializer(HashedDeserializer):
    """Reads the same where two fields precede each line, after the hash, if any: its row's origin.

    Args:
        hashed: Whether there are hashes.
    """

    def __init__(self, hashed: bool) -> None:
        self._size = self._HASH if hashed else 0
        self._frame = re.compile(rb"[\x00-\x7f](?s:...)((?s:.{%d}))([^\t]*\t[^\t]*\t)([^\n]*\n)|(?s:.)+" % self._size)

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends. Never read beyond it, because the next message begins there."""
        while True:
            frames = self._frame.findall(stream.peek())
            if frames and not frames[-1][2]:
                frames.pop()
            if frames:
                hashes, origins, lines = zip(*frames)
                block, hashed = b"".join(lines), b"".join(hashes)
                stream.read(len(block) + len(hashed) + sum(map(len, origins)) + self._HEADER.size * len(lines))
                yield Counted(block, len(lines), self._sum(hashed), hashed, origins)
                continue
            line = self._read_one(stream)
            if line is None:
                return
            hashed, line = line[: self._size], line[self._size :]
            start = line.index(b"\t", line.index(b"\t") + 1) + 1
            yield Counted(line[start:], 1, self._sum(hashed), hashed, (line[:start],))
