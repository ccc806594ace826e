"""What executors run: carry a part's COPY lines, in blocks, from the JVM to the server. Rows are never touched.

There are two carriers for the same freight. With PyArrow, the data buffer of an Arrow batch of lines *is* a piece of
the COPY stream. Without, the JVM's length-prefixed strings are read from its socket and joined by C code.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pyspark import RDD, TaskContext
from pyspark.serializers import Serializer, SpecialLengths
from pyspark.sql import DataFrame, SparkSession

from jobs.dbaccess import staging
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.staging import Counted, Staging

if TYPE_CHECKING:
    from io import BufferedReader

    import pyarrow as pa


@dataclass(frozen=True)
class Delivery:
    """What a task must know to bring a part into staging."""

    settings: Settings
    staging: Staging
    load_id: str


def plan_parts(lines: DataFrame, delivery: Delivery, arrow: bool) -> RDD[Any]:
    """An RDD with a partition for each part of the load; to collect it is to copy all parts into staging.

    One RDD serves for counting the parts and for copying them: two DataFrame actions could be planned differently.

    Args:
        lines: finished COPY lines, in one string column.
        delivery: where they go.
        arrow: carry Arrow batches; else strings.
    """
    if arrow:
        return lines.mapInArrow(lambda batches: _carry_batches(delivery, batches), "part int").rdd
    return _strings(lines).mapPartitions(lambda blocks: _carry_blocks(delivery, blocks))


def choose_arrow(spark: SparkSession) -> bool:
    """Whether to carry by Arrow: it is there, and Spark bounds its batches by bytes (from 4.0 on).

    Earlier ones are bounded by rows alone: ten thousand long strings would not fit a worker.
    """
    return spark.conf.get("spark.sql.execution.arrow.maxBytesPerBatch", None) is not None and workers_have_arrow(spark)


def workers_have_arrow(spark: SparkSession) -> bool:
    """Whether PyArrow is there, on this driver to plan with (Spark's mapInArrow wants pandas, too) and on a worker."""
    return _has_arrow() and bool(spark.sparkContext.parallelize([0], 1).map(lambda _: _has_arrow()).first())


def _has_arrow() -> bool:
    return find_spec("pyarrow") is not None and find_spec("pandas") is not None


def deliver(delivery: Delivery, part: int, attempt: int, blocks: Iterable[Counted]) -> None:
    """Bring one part into staging, once, whatever other attempts at it do.

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
            staging.record_failure(session, delivery.staging, part, attempt, str(error))


def deliver_task(delivery: Delivery, blocks: Iterable[Counted]) -> int:
    """Deliver the part that this task is for; its number."""
    task = TaskContext.get()
    if task is None:
        raise RuntimeError("this runs inside a Spark task only")
    part = task.partitionId()
    deliver(delivery, part, task.taskAttemptId(), blocks)
    return part


def _carry_batches(delivery: Delivery, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    part = deliver_task(delivery, map(_batch_block, batches))
    yield pa.RecordBatch.from_pydict({"part": pa.array([part], pa.int32())})


def _batch_block(batch: pa.RecordBatch) -> Counted:
    """The lines of a batch as one block."""
    from jobs.spark import arrowtext

    return Counted(arrowtext.joined(batch.column(0)), batch.num_rows)


def _carry_blocks(delivery: Delivery, blocks: Iterable[Counted]) -> Iterator[int]:
    yield deliver_task(delivery, blocks)


def _strings(lines: DataFrame) -> RDD[Counted]:
    """The lines as an RDD of blocks, read by `BlockDeserializer`; made as PySpark's own DataFrame.toJSON is."""
    context = lines.sparkSession.sparkContext
    # PySpark has no public way to a Dataset's strings as they are.
    jvm: Any = context._jvm  # noqa: SLF001 - see above
    dataset = getattr(lines._jdf, "as")(jvm.org.apache.spark.sql.Encoders.STRING())  # noqa: SLF001 - see above
    return RDD(dataset.toJavaRDD(), context, BlockDeserializer())


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
