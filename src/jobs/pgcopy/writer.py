"""Writes for Spark: executors copy parts into staging tables that a keeper holds; the driver's commit publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from jobs.copyformat import encode_arrow
from jobs.dbaccess import backends
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, JobError, LoadError
from jobs.dbaccess.load import ledger, staging, statistics
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.load.publish import Publication, Published, publish
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.staging import Counted, Staging
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.target import Target, find_table, settle_target
from jobs.pgcopy.sidecar import keep
from jobs.pgcopy.sidecar_holds import HeldStaging
from jobs.spark.load_tasks import Delivery, deliver_task


@dataclass(frozen=True)
class Goal:
    """What is to be written to, as the options say.

    Attributes:
        create: make the table where it is missing.
    """

    settings: Settings
    table: TableName
    move: Move
    create: bool

    def connect(self) -> Session:
        """A session of the driver's."""
        return connect_pinned(self.settings, f"pgjobs pgcopy {self.table}")

    def settle(self, session: Session, schema: StructType) -> Target:
        """Match the columns, by the load's own rules.

        Raises:
            UsageError: the data does not fit.
        """
        ledger.ensure(session)
        staging.sweep(session)
        table = find_table(session, self.table, self.create)
        target = settle_target(session, self.table, table, schema, self.move)
        encode_arrow.check(target.matches)
        return target

    def stage(self, target: Target, load_id: str = "", stream: str = "") -> Stage | None:
        """Have staging tables made and held; None where a load of this id has finished.

        Raises:
            UsageError: the id is taken by another table.
        """
        names = staging.plan_staging(target.name, target.columns, stream)
        types = target.types if target.is_new else ()
        held = HeldStaging(names, target.name, types, not target.move.keys, load_id)
        recorded = keep(self.settings, f"pgjobs pgcopy {self.table} staging", held)
        if recorded is None:
            return Stage(names, target)
        ledger.check_same_table(load_id, recorded, target.name)
        return None


@dataclass(frozen=True)
class Stage:
    """The staging tables of a write, and where its rows go from there."""

    names: Staging
    target: Target

    def copy(self, goal: Goal, batches: Iterator[pa.RecordBatch], label: str) -> Staged:
        """On an executor: copy a part, whatever other attempts do; the message for the driver."""
        delivery = Delivery(goal.settings, self.names, label)
        matches = self.target.matches
        lines = (Counted(encode_arrow.lines(batch, matches), batch.num_rows) for batch in batches)
        return Staged(self, deliver_task(delivery, lines))

    def publish(self, goal: Goal, load_id: str, messages: Sequence[WriterCommitMessage | None]) -> Published | None:
        """Make the staged rows part of the target, also over a connection that breaks.

        Args:
            goal: where to.
            load_id: names this write for ever.
            messages: of the tasks that Spark accepted; what any other task staged does not count.

        Returns:
            What was published; None where a connection that broke leaves only that it was.

        Raises:
            JobError: nothing was published.
        """
        receipts = tuple(message.receipt for message in messages if isinstance(message, Staged))
        if len(receipts) != len(messages):
            raise LoadError("Spark commits, and has no word of a part.", "Nothing was written. Write again.")
        target = self.target
        publication = Publication(load_id, target.name, self.names, receipts, target.move, target.is_new)
        with goal.connect() as session:
            try:
                return publish(session, publication)
            except ConnectionFailed:
                with goal.connect() as again:
                    backends.end(again, session.backend)
                    return self._publish_again(again, publication)

    def _publish_again(self, session: Session, publication: Publication) -> Published | None:
        """The broken session has ended. If it had committed, the tables are gone then."""
        try:
            return publish(session, publication)
        except DatabaseError:
            if not ledger.is_recorded(session, publication.load_id, publication.target):
                raise
            return None

    def discard(self, goal: Goal) -> None:
        """Drop what was staged, as far as that can be done now."""
        with goal.connect() as session:
            staging.discard(session, self.names)


class Staged(WriterCommitMessage):
    """A part was copied, or noted why it cannot be.

    Args:
        stage: where.
        receipt: of the attempt that did.
    """

    def __init__(self, stage: Stage, receipt: Receipt) -> None:
        self.stage = stage
        self.receipt = receipt


class BatchWriter(DataSourceArrowWriter):
    """Writes a DataFrame: all of its rows or none, and once for a load id. It is made on the driver.

    Args:
        goal: where to.
        schema: of the rows.
        load_id: names this write for ever.
    """

    def __init__(self, goal: Goal, schema: StructType, load_id: str) -> None:
        self.goal = goal
        self.load_id = load_id
        with goal.connect() as session:
            target = goal.settle(session, schema)
        self.stage = goal.stage(target, load_id)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """On an executor: copy a part, unless there is nothing to be done."""
        return WriterCommitMessage() if self.stage is None else self.stage.copy(self.goal, iterator, self.load_id)

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """On the driver: publish all parts."""
        if self.stage is not None:
            published = self.stage.publish(self.goal, self.load_id, messages)
            changed = None
            if published is not None and self.goal.move.mode != "overwrite":
                changed = published.inserted + published.updated
            # The rows are written: they are not to be lost for want of statistics.
            with suppress(JobError), self.goal.connect() as session:
                statistics.refresh(session, self.stage.target.name, changed)

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:  # noqa: ARG002 - Spark's own signature
        """On the driver: leave nothing behind."""
        if self.stage is not None:
            self.stage.discard(self.goal)
