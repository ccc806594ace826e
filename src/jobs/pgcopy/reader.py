"""Reads for Spark: the driver plans parts in a snapshot that a sidecar holds; executors copy and decode them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Union

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql.datasource import DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from jobs.copyformat import decode_arrow, decode_nested
from jobs.copyformat.read_types import ExtractColumn, schema_of
from jobs.dbaccess import table_locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Server
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.extract import partitioning, snapshot
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.extract.snapshot import Snapshot
from jobs.dbaccess.session import Session
from jobs.flows.extract.plan import ExtractPlan, Wanted, find_source, plan_columns, plan_extract, selected
from jobs.pgcopy import snapshot_desk
from jobs.pgcopy.sidecar import hold_in_sidecar
from jobs.pgcopy.snapshot_desk import Desk
from jobs.spark.tasks.extract_tasks import copied


@dataclass(frozen=True)
class SnapshotRequest:
    """A snapshot that a desk gives out.

    Attributes:
        desk: The desk's key.
        number: The snapshot's number; None for the snapshot of the action that reads.
        idle: Seconds without a reader after which the desk releases the snapshot.
        holder: The desk's session when the parts were planned.
        shape: The columns and partitions when the parts were planned, to be compared if they are read in a later
            snapshot.
    """

    desk: int
    number: int | None
    idle: float
    holder: str
    shape: str = ""

    def snapshot(self, session: Session) -> Snapshot:
        """Ask the desk for the snapshot.

        Raises:
            ExtractError: It is unknown which action reads.
            SnapshotLost: The snapshot is no longer held.
        """
        number = _action() if self.number is None else self.number
        return snapshot_desk.ask(session, self.desk, number, self.idle, self.holder)


def _action() -> int:
    """Return the number of the action that this task belongs to."""
    task = TaskContext.get()
    name = "spark.sql.execution.root.id"
    execution = (task.getLocalProperty(name) or task.getLocalProperty("spark.sql.execution.id")) if task else None
    if not execution:
        raise ExtractError(
            "Spark does not report to which action a task of an RDD belongs, so tasks might read several snapshots.",
            "With the option snapshot = action, use the DataFrame's own actions, and not rdd or foreachPartition.",
        )
    return snapshot_desk.number_of_action(execution)


PartSnapshot = Union[Snapshot, SnapshotRequest]
"""A snapshot that is held already, or one to ask for."""


@dataclass(frozen=True)
class Part(InputPartition):
    """What a task reads: SELECTs in a snapshot, on the server that has it."""

    number: int
    snapshot: PartSnapshot
    server: Server
    queries: tuple[str, ...]
    columns: tuple[ExtractColumn, ...]


@dataclass(frozen=True)
class Reach:
    """What all parts of a read share.

    Attributes:
        schema: The schema that Spark was given.
    """

    connector: Connector
    wanted: Wanted
    schema: StructType

    def parts(self, plan: ExtractPlan, of: PartSnapshot, server: Server) -> list[Part]:
        """Return the parts of a plan.

        Args:
            plan: Made in a snapshot.
            of: The snapshot in which the parts are read.
            server: The server that has it.

        Raises:
            ExtractError: The columns are not those of the schema that Spark was given.
        """
        planned = schema_of(plan.columns)
        if _plain(planned) != _plain(self.schema):
            raise ExtractError(
                f"{self.wanted} has the columns {planned.simpleString()}, and not {self.schema.simpleString()}.",
                "Leave .schema() out and cast afterwards. If the table has changed, load the DataFrame again.",
            )
        return [Part(number, of, server, queries, plan.columns) for number, queries in enumerate(plan.parts)]

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Copy a part, and decode it.

        Raises:
            ExtractError: Spark cannot hold a value.
            SnapshotLost: The snapshot is no longer held.
        """
        return decode_nested.finished(decode_arrow.batches(self._blocks(part), part.columns), part.columns)

    def _blocks(self, part: Part) -> Iterator[bytes]:
        with self.connector.at(part.server).open(f"part {part.number}") as session:
            request = part.snapshot if isinstance(part.snapshot, SnapshotRequest) else None
            held = part.snapshot if isinstance(part.snapshot, Snapshot) else part.snapshot.snapshot(session)
            with snapshot.adopted(session, held):
                if request is not None and request.shape:
                    self._check_shape(session, request.shape)
                yield from copied(session, part.queries)

    def shape(self, session: Session) -> str:
        """Return what the parts depend on: the columns, and the tables that hold the rows."""
        table = find_source(session, self.wanted)
        if table is None:
            return repr(session.describe(Selection.of_query(self.wanted.query or "").select(["*"])))
        leaves = [leaf.name for leaf in partitioning.leaves_of(session, table.name)]
        return repr((table.kind, table.columns, leaves))

    def _check_shape(self, session: Session, planned: str) -> None:
        if self.shape(session) != planned:
            raise ExtractError(
                f"{self.wanted} has other columns or partitions than when Spark planned how to read it.",
                "Load the DataFrame again.",
            )


def _plain(schema: StructType) -> list[tuple[str, str]]:
    """Names and types, without nullability."""
    return [(field.name, field.dataType.simpleString()) for field in schema]


def discover(connector: Connector, wanted: Wanted) -> StructType:
    """Return the schema of what will be read, according to the catalog.

    Raises:
        UsageError: It cannot be read.
        TransientError: Another session holds a lock that prevents reading.
    """
    with connector.open() as session, table_locks.awaited(session, snapshot.WAIT):
        return schema_of(plan_columns(session, wanted, find_source(session, wanted))[1])


class BatchReader(DataSourceReader):
    """Reads a table or query. Each action reads one snapshot.

    Args:
        reach: What is read.
        number: The number of the DataFrame's snapshot, if all actions read that one.
        idle: Seconds for which snapshots are held after the last task has read.
        each_action: Whether each action takes a snapshot of its own; otherwise all read the DataFrame's.
    """

    def __init__(self, reach: Reach, number: int, idle: float, each_action: bool) -> None:
        self.reach = reach
        self.number = number
        self.idle = idle
        self.each_action = each_action

    def partitions(self) -> Sequence[Part]:
        """Plan the parts, in the DataFrame's snapshot, or in a new one if each action has its own.

        Spark 4.0 asks for each scan, perhaps long after the DataFrame's snapshot was released. Spark 4.1 asks once.
        """
        reach = self.reach
        number = snapshot_desk.new_number() if self.each_action else self.number
        with reach.connector.open() as session:
            table = find_source(session, reach.wanted)
            key = self._desk(session, selected(session, reach.wanted, table))
            given = snapshot_desk.ask(session, key, number, self.idle)
            with snapshot.adopted(session, given):
                plan = plan_extract(session, reach.wanted, table)
                shape = reach.shape(session) if self.each_action else ""
            asked = None if self.each_action else self.number
            request = SnapshotRequest(key, asked, self.idle, given.holder, shape)
            return reach.parts(plan, request, session.server)

    def _desk(self, session: Session, selection: Selection) -> int:
        """Return the key of this driver's desk for this source. A desk that is not open is opened."""
        connector = self.reach.connector.at(session.server)
        settings = connector.settings
        driver = (socket.gethostname(), os.getppid())
        key = snapshot_desk.key_of(driver, session.server, settings.dbname, settings.user, selection, self.idle)
        if not snapshot_desk.is_open(session, key):
            desk = Desk(key, selection.select(["1"]), connector.subject, self.idle)
            hold_in_sidecar(connector, "snapshot", desk)
        return key

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """On an executor: copy a part."""
        assert isinstance(partition, Part)  # noqa: S101 - Spark hands back what `partitions` gave
        return self.reach.read(partition)
