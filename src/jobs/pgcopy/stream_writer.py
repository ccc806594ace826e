"""Writes a stream: each batch all or none, and once, by its id in the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
from pyspark.sql.datasource import DataSourceStreamArrowWriter, DataSourceStreamWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import ledger, staging
from jobs.pgcopy.writer import Goal, Stage, Staged


class StreamWriter(DataSourceStreamArrowWriter):
    """Copies a batch into staging tables. It is made on the driver for each batch, whose id it is not told.

    Args:
        goal: where to.
        schema: of the rows.
        stream: names the stream for ever.
    """

    def __init__(self, goal: Goal, schema: StructType, stream: str) -> None:
        self.goal = goal
        self.stream = stream
        with goal.connect() as session:
            target = goal.settle(session, schema)
            # An aborted batch may have told of no part, so that its tables could not be found then.
            for left in staging.left_by_stream(session, target.name, stream):
                staging.discard(session, left)
        self.stage = goal.stage(target, stream=stream)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """On an executor: copy a part."""
        return WriterCommitMessage() if self.stage is None else self.stage.copy(self.goal, iterator, self.stream)


class StreamCommitter(DataSourceStreamWriter):
    """Publishes a batch, or discards it. It is made on the driver, and knows what the parts' messages tell.

    Args:
        goal: where to.
        stream: names the stream for ever.
    """

    def __init__(self, goal: Goal, stream: str) -> None:
        self.goal = goal
        self.stream = stream

    def write(self, iterator: Iterator[object]) -> WriterCommitMessage:
        """Not here."""
        raise NotImplementedError

    def commit(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: N803 - Spark's name
        """Publish the batch, unless it was before."""
        load_id = f"{self.stream}/{batchId}"
        stage = _stage_of(messages)
        if stage is None:
            raise LoadError("Spark commits a batch, and has no word of its parts.", "Nothing was written. Start again.")
        with self.goal.connect() as session:
            recorded = ledger.recorded_target(session, load_id)
        if recorded is not None:
            stage.discard(self.goal)
            ledger.check_same_table(load_id, recorded, stage.target.name)
        else:
            stage.publish(self.goal, load_id, messages)

    def abort(self, messages: Sequence[WriterCommitMessage | None], batchId: int) -> None:  # noqa: ARG002, N803 - Spark's
        """Leave nothing behind."""
        stage = _stage_of(messages)
        if stage is not None:
            stage.discard(self.goal)


def _stage_of(messages: Sequence[WriterCommitMessage | None]) -> Stage | None:
    """Where the parts are, if any has told."""
    return next((message.stage for message in messages if isinstance(message, Staged)), None)
