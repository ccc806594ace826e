"""What executors run: copy a part's COPY lines from the JVM to the server, in blocks, without touching a row.

The JVM's length-prefixed strings are read from its socket and joined by C code.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark import RDD, TaskContext
from pyspark.serializers import Serializer, SpecialLengths
from pyspark.sql import DataFrame

from jobs.copyformat.encode_spark import LINE
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import ConnectionFailed, JobError
from jobs.dbaccess.load import direct, parts
from jobs.dbaccess.load.direct import Direct, Superseded
from jobs.dbaccess.load.parts import Counted
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.rejects.policy import FAILS, Policy
from jobs.dbaccess.load.rejects.quarantine import Outcome
from jobs.dbaccess.load.rejects.quarantine import copy_part as copy_good
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session

if TYPE_CHECKING:
    from io import BufferedReader


@dataclass(frozen=True)
class Delivery:
    """What a task needs to copy a part into staging.

    Attributes:
        direct: Where to copy it instead, if it is to go straight into the target.
        policy: What to do about rows that the server refuses.
    """

    connector: Connector
    staging: Staging
    direct: Direct | None = None
    policy: Policy = FAILS


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


def deliveries(blocks: RDD[Counted], delivery: Delivery) -> RDD[Receipt]:
    """Return an RDD whose partitions, when they are computed, copy the parts to their destination."""
    return blocks.mapPartitions(lambda part: _deliver_blocks(delivery, part))


def deliver(delivery: Delivery, part: int, attempt: int, blocks: Iterable[Counted]) -> Outcome | None:
    """Copy one part into staging, whatever other attempts at it do or have done.

    A failure that would recur in another attempt is recorded for the driver, and not raised: Spark would only retry.

    Returns:
        What became of its rows, if bad ones are put aside.

    Raises:
        JobError: The failure is transient. Spark runs the task again.
    """
    if delivery.direct is not None:
        _deliver_directly(delivery, delivery.direct, part, attempt, blocks)
        return None
    with _connect(delivery, part) as session:
        if not parts.begin_attempt(session, delivery.staging, part, attempt):
            return None
        try:
            if delivery.policy.quarantines:
                return copy_good(session, delivery.staging, part, attempt, blocks, policy=delivery.policy)
            parts.copy_part(session, delivery.staging, part, attempt, blocks)
        except JobError as error:
            if error.transient:
                raise
            _record_failure(session, delivery, part, attempt, error)
    return None


def _deliver_directly(delivery: Delivery, into: Direct, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Copy one part straight into the target, unless another attempt at it has.

    Raises:
        JobError: As `deliver`.
    """
    with _connect(delivery, part) as session:
        if not direct.begin_attempt(session, into, part, attempt):
            return
        try:
            direct.copy_part(session, into, part, attempt, blocks)
        except Superseded:
            return
        except ConnectionFailed:
            with _connect(delivery, part) as replacement:
                if not direct.was_committed(replacement, into, part, session):
                    raise
        except JobError as error:
            if not session.closed and direct.is_there(session, into, part):
                return  # the error is that of a row that is in the table already
            if error.transient:
                raise
            _record_failure(session, delivery, part, attempt, error)


def _record_failure(session: Session, delivery: Delivery, part: int, attempt: int, error: JobError) -> None:
    """Record a failure, over another connection if this one was closed in the middle of its COPY."""
    names, reason, row = delivery.staging, parts.reason(error), parts.row_of(error)
    if not session.closed:
        parts.record_failure(session, names, part, attempt, reason, row=row)
        return
    with _connect(delivery, part) as replacement:
        parts.record_failure(replacement, names, part, attempt, reason, row=row)


def _connect(delivery: Delivery, part: int) -> Session:
    return delivery.connector.open(f"part {part}")


def deliver_task(delivery: Delivery, blocks: Iterable[Counted]) -> Receipt:
    """Deliver the part of this task.

    Returns:
        A receipt. As the task's result, it shows the driver that Spark accepted this very attempt.
    """
    task = TaskContext.get()
    if task is None:
        raise RuntimeError("this runs inside a Spark task only")
    part, attempt, passed = task.partitionId(), task.taskAttemptId(), _Passed()
    outcome = deliver(delivery, part, attempt, passed.counting(blocks))
    if outcome is not None:
        return Receipt(part, attempt, outcome.rows, outcome.hashes, outcome.rejected)
    return Receipt(part, attempt, passed.rows, passed.hashes)


class _Passed:
    """The rows that have passed: how many, and the sum of their hashes."""

    rows, hashes = 0, 0

    def counting(self, blocks: Iterable[Counted]) -> Iterator[Counted]:
        """Yield the blocks, and count their rows."""
        for counted in blocks:
            self.rows += counted.rows
            self.hashes += counted.hashes
            yield counted


def _deliver_blocks(delivery: Delivery, blocks: Iterable[Counted]) -> Iterator[Receipt]:
    yield deliver_task(delivery, blocks)


def as_octets(lines: DataFrame) -> DataFrame:
    """Return lines of text as binary. The JVM would decode strings that leave it.

    It would replace bytes that are not UTF-8 with U+FFFD, whereas the server rejects them.
    """
    return lines.select(lines[LINE].cast("binary").alias(LINE))


@dataclass(frozen=True)
class Line:
    """A line of a part, and where its row comes from, as Spark wrote it."""

    text: bytes
    origin: bytes


def line_of(row: int) -> Callable[[Iterable[Counted]], list[Line]]:
    """Return a function that finds a row of a part, from 1, in its blocks, which have origins."""

    def find(blocks: Iterable[Counted]) -> list[Line]:
        before = 0
        for counted in blocks:
            if before + counted.rows >= row:
                place = row - before - 1
                return [Line(bytes(counted.block).split(b"\n")[place] + b"\n", counted.origins[place])]
            before += counted.rows
        return []

    return find


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
