"""Writes a stream: each batch completely or not at all, and once, by its id in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.datasource import DataSourceStreamArrowWriter, DataSourceStreamWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.session import Session
from jobs.pgcopy.writer import Destination, Stage, Staged

_QUERY_ID = "sql.streaming.queryId"
"""The local property in which Spark tells tasks the id of their query: it is in the checkpoint, and stays the same."""


_ANOTHER = "Start with that checkpoint. For another one, which begins anew, give another streamId."


class StreamWriter(DataSourceStreamArrowWriter):
    """Copies a batch into staging tables. Spark creates it on the driver for each batch, without the batch's id.

    Args:
        destination: The destination of the rows.
        schema: The schema of the rows.
        stream: The permanent name of the stream.
    """

    def __init__(self, destination: Destination, schema: StructType, stream: str) -> None:
        self.destination = destination
        self.stream = stream
        with destination.driver.connect() as session:
            target = destination.settle(session, schema)
            # An aborted batch whose tasks sent no message could not drop its tables: only a message names them.
            for leftover in leftovers.of_stream(session, target.name, stream):
                staging.discard(session, leftover)
        self.stage = destination.stage(target, stream=stream)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """On an executor: copy a part."""
        if self.stage is None:
            return WriterCommitMessage()
        context = TaskContext.get()
        query = context.getLocalProperty(_QUERY_ID) if context else None
        return self.stage.copy(self.destination, iterator, query or "")


class StreamCommitter(DataSourceStreamWriter):
    """Publishes a batch, or discards it. Spark creates it on the driver. The messages of the tasks name the stage.

    Args:
        destination: The destination of the rows.
        stream: The permanent name of the stream.
    """

    def __init__(self, destination: Destination, stream: str) -> None:
        self.destination = destination
        self.stream = stream

    def write(self, iterator: Iterator[object]) -> WriterCommitMessage:
        """Not supported: `StreamWriter` writes."""
        raise NotImplementedError

    def commit(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803 - Spark's name
        """Publish the batch, unless it was published before. Statistics are left to autovacuum."""
        stage = _stage_of(messages)
        if stage is None:
            raise LoadError("Spark committed a batch without any message.", "Nothing was written. Start again.")
        query = next((message.query for message in messages if isinstance(message, Staged)), "")
        with self.destination.driver.connect() as session:
            self._refuse_earlier(session, batchId)
            self._refuse_another(session, batchId, query)
        stage.publish(self.destination, f"{self.stream}/{batchId}", messages, analyzed=False)

    def _refuse_earlier(self, session: Session, number: int) -> None:
        """Refuse a batch after which another one has been published.

        After a restart, Spark repeats at most the last batch. An earlier number comes from another checkpoint: that
        batch has other rows, and would be discarded because there was one of its id.

        Raises:
            LoadError: The following batch has been published.
        """
        if self.destination.ledger.exists(session, f"{self.stream}/{number + 1}"):
            raise LoadError(
                f"This is batch {number} of the stream {self.stream!r}, and batch {number + 1} has been published: "
                "the checkpoint is not the one that the stream had before.",
                _ANOTHER,
            )

    def _refuse_another(self, session: Session, number: int, query: str) -> None:
        """Refuse a batch that has been published from another checkpoint. Otherwise, note the query of this one.

        Raises:
            LoadError: A batch of this number has been published by a query of another id.
        """
        ledger, note = self.destination.ledger, f"{self.stream}/checkpoint"
        known, own = ledger.recorded_target(session, note), f"checkpoint {query}"
        if not query or known == own:
            return
        if known and ledger.exists(session, f"{self.stream}/{number}"):
            raise LoadError(
                f"Batch {number} of the stream {self.stream!r} has been published from another checkpoint.", _ANOTHER
            )
        with session.transaction():
            ledger.forget(session, note)
            ledger.record(session, note, own)

    def abort(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: ARG002, N803 - Spark's
        """Leave nothing behind."""
        stage = _stage_of(messages)
        if stage is not None:
            stage.discard(self.destination)


def _stage_of(messages: Sequence[WriterCommitMessage | None]) -> Stage | None:
    """Return the stage of the parts, or None if no part sent a message."""
    return next((message.stage for message in messages if isinstance(message, Staged)), None)
