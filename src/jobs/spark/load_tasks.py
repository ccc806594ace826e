"""What executors run: carry a part's COPY lines, in blocks, from the JVM to the server. Rows are never touched.

The JVM's length-prefixed strings are read from its socket and joined by C code.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark import RDD, TaskContext
from pyspark.serializers import Serializer, SpecialLengths
from pyspark.sql import DataFrame

from jobs.copyformat.encode_spark import LINE
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.staging import Counted, Staging
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session

if TYPE_CHECKING:
    from io import BufferedReader


@dataclass(frozen=True)
class Delivery:
    """What a task must know to bring a part into staging."""

    settings: Settings
    staging: Staging
    load_id: str


def plan_parts(lines: DataFrame, delivery: Delivery, *, hashed: bool = False) -> RDD[Receipt]:
    """An RDD with a partition for each part of the load; to collect it is to copy all parts into staging.

    One RDD serves for counting the parts and for copying them: two DataFrame actions could be planned differently.

    Args:
        lines: finished COPY lines, in one string column.
        delivery: where they go.
        hashed: before each line stands its row's hash.
    """
    carrier = HashedDeserializer() if hashed else BlockDeserializer()
    return _strings(lines, carrier).mapPartitions(lambda blocks: _carry_blocks(delivery, blocks))


def deliver(delivery: Delivery, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Bring one part into staging, whatever other attempts at it do or have done.

    What trying again cannot mend is noted for the driver and not raised: Spark would only repeat it.

    Raises:
        JobError: a transient one, for Spark to run the task again.
    """
    with connect_pinned(delivery.settings, f"pgjobs load_table part {part} of {delivery.load_id}") as session:
        if not staging.begin_attempt(session, delivery.staging, part, attempt):
            return
        try:
            staging.copy_part(session, delivery.staging, part, attempt, blocks)
        except JobError as error:
            if error.transient:
                raise
            _record_failure(session, delivery, part, attempt, staging.told(error))


def _record_failure(session: Session, delivery: Delivery, part: int, attempt: int, reason: str) -> None:
    """Note it, over another connection where the rows' source failed: this one was left in mid-copy."""
    if not session.closed:
        staging.record_failure(session, delivery.staging, part, attempt, reason)
        return
    with connect_pinned(delivery.settings, f"pgjobs load_table part {part} of {delivery.load_id}") as again:
        staging.record_failure(again, delivery.staging, part, attempt, reason)


def deliver_task(delivery: Delivery, blocks: Iterable[Counted]) -> Receipt:
    """Deliver the part that this task is for.

    Returns:
        A receipt, to go to the driver as the task's result: there it says that Spark accepted this very attempt.
    """
    task = TaskContext.get()
    if task is None:
        raise RuntimeError("this runs inside a Spark task only")
    part, attempt, meant = task.partitionId(), task.taskAttemptId(), _Meant()
    deliver(delivery, part, attempt, meant.of(blocks))
    return Receipt(part, attempt, meant.rows, meant.hashes)


class _Meant:
    """What Spark says of the rows that pass."""

    rows, hashes = 0, 0

    def of(self, blocks: Iterable[Counted]) -> Iterator[Counted]:
        for counted in blocks:
            self.rows += counted.rows
            self.hashes += counted.hashes
            yield counted


def _carry_blocks(delivery: Delivery, blocks: Iterable[Counted]) -> Iterator[Receipt]:
    yield deliver_task(delivery, blocks)


def _strings(lines: DataFrame, carrier: Serializer) -> RDD[Counted]:
    """The lines as an RDD of blocks, read by the carrier; made as PySpark's own DataFrame.toJSON is.

    As binary: the JVM would decode strings, and put U+FFFD in place of bytes that are not UTF-8. The server
    refuses them.
    """
    context = lines.sparkSession.sparkContext
    octets = lines.select(lines[LINE].cast("binary").alias(LINE))
    # PySpark has no public way to a Dataset's strings as they are.
    jvm: Any = context._jvm  # noqa: SLF001 - see above
    dataset = getattr(octets._jdf, "as")(jvm.org.apache.spark.sql.Encoders.BINARY())  # noqa: SLF001 - see above
    return RDD(dataset.toJavaRDD(), context, carrier)


class BlockDeserializer(Serializer):
    """Reads the JVM's stream of strings (each a 4-byte length and its UTF-8) as blocks of COPY lines.

    Each string ends in its only newline, so that one regular expression, run by C code, finds all that are whole
    in the reader's buffer. A length begins with a byte below 0x80; the marks between sections (PySpark's
    SpecialLengths) do not. What is left of the buffer matches the second branch, as an empty line: without it
    the search would begin again at each of its bytes.
    """

    _FRAME = re.compile(rb"[\x00-\x7f](?s:...)([^\n]*\n)|(?s:.)+")
    _HEADER = struct.Struct("!i")

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends; never read beyond it, for there the next message begins."""
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
        """One line, which the buffer holds in part or not at all; None at the section's end."""
        [length] = self._HEADER.unpack(stream.read(self._HEADER.size))
        return None if length == SpecialLengths.END_OF_DATA_SECTION else stream.read(length)


class HashedDeserializer(BlockDeserializer):
    """Reads the same where 8 bytes stand before each line: the row's hash, which is summed, and goes no further."""

    _FRAME = re.compile(rb"[\x00-\x7f](?s:...)((?s:.{8}))([^\n]*\n)|(?s:.)+")
    _HASH = 8

    def load_stream(self, stream: BufferedReader[Any]) -> Iterator[Counted]:
        """Yield blocks until the section ends; never read beyond it, for there the next message begins."""
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
