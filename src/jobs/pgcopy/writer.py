"""Writes for Spark: executors copy parts into staging tables that a sidecar holds; the driver's commit publishes them.

This is the load's own flow (`jobs.flows.load`) with two other ends: the rows are Arrow batches, and Spark calls each
step in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.datasource import DataSourceArrowWriter, WriterCommitMessage
from pyspark.sql.types import StructType

from jobs.copyformat import encode_arrow
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import NONE_DEFINED, Defined
from jobs.flows.load.publish import Driver, analyze, publish_once
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target
from jobs.pgcopy.sidecar import hold_in_sidecar
from jobs.pgcopy.sidecar_holds import HeldStaging
from jobs.spark.tasks.load_tasks import Delivery, deliver_task


@dataclass(frozen=True)
class Destination:
    """Where rows are to be written, according to the options.

    Attributes:
        create: Whether to create the table if it is missing.
        ledger: What records the write.
        defined: The columns that the user defines.
        null_values: Strings of the data that stand for NULL.
    """

    connector: Connector
    table: TableName
    move: Move
    create: bool
    ledger: Ledger = LUIGIS
    defined: Defined = NONE_DEFINED
    null_values: tuple[str, ...] = ()

    @property
    def driver(self) -> Driver:
        """How the driver connects."""
        return Driver(self.connector, has_sidecar=True)

    def settle(self, session: Session, schema: StructType) -> Target:
        """Match the columns by the load's own rules.

        Raises:
            UsageError: The data does not fit.
        """
        self.ledger.ensure(session)
        leftovers.sweep(session)
        table = find_table(session, self.table, self.create)
        target = settle_target(session, self.table, table, schema, self.move, defined=self.defined)
        target.move.changes.check_null_values(self.null_values)
        encode_arrow.check(target.matches)
        return target

    def stage(self, target: Target, load_id: str = "", stream: str = "") -> Stage | None:
        """Have a sidecar create staging tables and hold them. Return None if a load of this id has finished.

        Raises:
            UsageError: The load id is taken by another table.
        """
        names = staging.plan_staging(target.name, target.columns, stream, target.not_yet, target.encoded_for)
        held = HeldStaging(
            names,
            target.name,
            types=target.new_types,
            logged=target.is_staging,
            load_id=load_id,
            ledger=self.ledger,
            by_partition=target.move.replaces_partitions,
        )
        is_held = hold_in_sidecar(self.connector, "staging", held)
        return Stage(names, target) if is_held else None


@dataclass(frozen=True)
class Stage:
    """The staging tables of a write, and their target."""

    names: Staging
    target: Target

    def copy(self, destination: Destination, batches: Iterator[pa.RecordBatch], query: str = "") -> Staged:
        """On an executor: copy a part, whatever other attempts do. Return the message for the driver.

        Args:
            destination: The destination of the write.
            batches: The rows.
            query: The id of the stream's query; empty for other writes.
        """
        delivery = Delivery(destination.connector, self.names)
        matches = self.target.matches
        loaded = (with_nulls(batch, destination.null_values) for batch in batches)
        lines = (Counted(encode_arrow.lines(batch, matches), batch.num_rows) for batch in loaded)
        return Staged(self, deliver_task(delivery, lines), query)

    def publish(
        self,
        destination: Destination,
        load_id: str,
        messages: Sequence[WriterCommitMessage | None],
        *,
        analyzed: bool,
    ) -> None:
        """Make the staged rows part of the target, unless a load of this id has finished.

        Args:
            destination: The destination of the write.
            load_id: The permanent name of this write.
            messages: The messages of the tasks that Spark accepted. What other attempts staged does not count.
            analyzed: Whether to refresh the planner's statistics, too.

        Raises:
            JobError: The rows were not published, or several connections broke, and a rerun shows what happened.
        """
        receipts = [message.receipt for message in messages if isinstance(message, Staged)]
        if len(receipts) != len(messages):
            raise LoadError("Spark committed without the message of a part.", "Nothing was written. Write again.")
        driver = destination.driver
        with driver.connect() as session:
            plan = self.target.plan(load_id, self.names, receipts, destination.ledger)
            published = publish_once(driver, session, plan)
            if published is not None and analyzed:
                analyze(driver, session, self.target.name, destination.move, published)

    def discard(self, destination: Destination) -> None:
        """Drop the staging tables, if that is possible now."""
        with destination.driver.connect() as session:
            staging.discard(session, self.names)


def with_nulls(batch: pa.RecordBatch, null_values: Sequence[str]) -> pa.RecordBatch:
    """Return the rows with NULL in place of some strings, in all columns of strings. Elements of arrays stay."""
    if not null_values:
        return batch
    columns = [_with_nulls(column, null_values) for column in batch.columns]
    return pa.RecordBatch.from_arrays(columns, schema=pa.schema([field.with_nullable(True) for field in batch.schema]))


def _with_nulls(column: pa.Array, null_values: Sequence[str]) -> pa.Array:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return column
    stands_for_null = pc.is_in(column, value_set=pa.array(null_values, column.type))
    return pc.if_else(stands_for_null, pa.scalar(None, column.type), column)


class Staged(WriterCommitMessage):
    """A part was copied, or an attempt recorded why it cannot be.

    Args:
        stage: The staging tables of the part.
        receipt: The receipt of the attempt.
        query: The id of the stream's query, which its checkpoint has; empty for other writes.
    """

    def __init__(self, stage: Stage, receipt: Receipt, query: str = "") -> None:
        self.stage = stage
        self.receipt = receipt
        self.query = query


class BatchWriter(DataSourceArrowWriter):
    """Writes a DataFrame: all of its rows or none, and once for a load id. Spark creates it on the driver.

    Args:
        destination: The destination of the rows.
        schema: The schema of the rows.
        load_id: The permanent name of this write.
    """

    def __init__(self, destination: Destination, schema: StructType, load_id: str) -> None:
        self.destination = destination
        self.load_id = load_id
        with destination.driver.connect() as session:
            target = destination.settle(session, schema)
        self.stage = destination.stage(target, load_id)

    def write(self, iterator: Iterator[pa.RecordBatch]) -> WriterCommitMessage:
        """On an executor: copy a part, unless a load of this id has finished."""
        if self.stage is None:
            return WriterCommitMessage()
        return self.stage.copy(self.destination, iterator)

    def commit(self, messages: Sequence[WriterCommitMessage | None]) -> None:
        """On the driver: publish all parts."""
        if self.stage is not None:
            self.stage.publish(self.destination, self.load_id, messages, analyzed=True)

    def abort(self, messages: Sequence[WriterCommitMessage | None]) -> None:  # noqa: ARG002 - Spark's own signature
        """On the driver: leave nothing behind."""
        if self.stage is not None:
            self.stage.discard(self.destination)
