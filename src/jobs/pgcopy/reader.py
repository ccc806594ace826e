"""Reads for Spark: the driver plans parts in a snapshot that a keeper holds; executors copy and decode them."""

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
from jobs.spark.extract_tasks import copied


@dataclass(frozen=True)
class Appointment:
    """A moment that a desk gives out.

    Attributes:
        desk: its key.
        number: of the moment; None for that of the action that reads.
        idle: seconds after which the desk lets go of it.
        shape: of the source when its parts were planned, in case they are read in a later moment.
    """

    desk: int
    number: int | None
    idle: float
    shape: str = ""

    def snapshot(self, session: Session) -> Snapshot:
        """Ask for it.

        Raises:
            ExtractError: Spark does not tell which action reads.
            SnapshotLost: it is held no more.
        """
        number = _action() if self.number is None else self.number
        return snapshot_desk.ask(session, self.desk, number, self.idle)


def _action() -> int:
    """The number of the action that this task is of."""
    task = TaskContext.get()
    name = "spark.sql.execution.root.id"
    execution = (task.getLocalProperty(name) or task.getLocalProperty("spark.sql.execution.id")) if task else None
    if not execution:
        raise ExtractError(
            "Spark does not tell which action a task of an RDD is of, so that its tasks might see several moments.",
            "With the option snapshot = action, use the DataFrame's own actions, and not rdd or foreachPartition.",
        )
    return snapshot_desk.number_of_action(execution)


Moment = Union[Snapshot, Appointment]


@dataclass(frozen=True)
class Part(InputPartition):
    """What a task reads: SELECTs in a snapshot, on the one server that knows it."""

    number: int
    moment: Moment
    server: Server
    queries: tuple[str, ...]
    columns: tuple[ExtractColumn, ...]


@dataclass(frozen=True)
class Reach:
    """What all parts of a read share.

    Attributes:
        schema: as Spark was told.
    """

    connector: Connector
    wanted: Wanted
    schema: StructType

    def parts(self, plan: ExtractPlan, moment: Moment, server: Server) -> list[Part]:
        """The parts of a source that was settled in a moment.

        Raises:
            ExtractError: it has other columns than Spark was told.
        """
        found = schema_of(plan.columns)
        if _plain(found) != _plain(self.schema):
            raise ExtractError(
                f"{self.wanted} has the columns {found.simpleString()}, and not {self.schema.simpleString()}.",
                "Leave .schema() out and cast afterwards; if the table has changed, make the DataFrame anew.",
            )
        return [Part(number, moment, server, queries, plan.columns) for number, queries in enumerate(plan.parts)]

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Copy a part, decoded.

        Raises:
            ExtractError: a value that Spark cannot hold.
            SnapshotLost: the moment is held no more.
        """
        return decode_nested.finished(decode_arrow.batches(self._blocks(part), part.columns), part.columns)

    def _blocks(self, part: Part) -> Iterator[bytes]:
        with self.connector.at(part.server).open(f"part {part.number}") as session:
            moment = part.moment
            there = moment.snapshot(session) if isinstance(moment, Appointment) else moment
            with snapshot.adopted(session, there):
                if isinstance(moment, Appointment) and moment.shape:
                    self._check_shape(session, moment.shape)
                yield from copied(session, part.queries)

    def shape(self, session: Session) -> str:
        """What parts count on: the columns, and the tables that hold the rows."""
        table = find_source(session, self.wanted)
        if table is None:
            return repr(session.describe(Selection.of_query(self.wanted.query or "").select(["*"])))
        leaves = [leaf.name for leaf in partitioning.leaves_of(session, table.name)]
        return repr((table.kind, table.columns, leaves))

    def _check_shape(self, session: Session, planned: str) -> None:
        if self.shape(session) != planned:
            raise ExtractError(
                f"{self.wanted} has other columns or partitions than when Spark planned how to read it.",
                "Load the DataFrame anew.",
            )


def _plain(schema: StructType) -> list[tuple[str, str]]:
    """Names and types alone: whether a value may be missing is Spark's own note."""
    return [(field.name, field.dataType.simpleString()) for field in schema]


def discover(connector: Connector, wanted: Wanted) -> StructType:
    """The schema of what is to be read, by the catalogue.

    Raises:
        UsageError: it cannot be read.
        TransientError: somebody keeps a lock that lets nobody read.
    """
    with connector.open() as session, table_locks.awaited(session, snapshot.WAIT):
        return schema_of(plan_columns(session, wanted, find_source(session, wanted))[1])


class BatchReader(DataSourceReader):
    """Reads all of it: each action sees one moment.

    Args:
        reach: what is read.
        number: of the DataFrame's moment, where all actions see that one.
        idle: seconds that moments are held after the last task has read in one.
        each_action: whether each action takes a moment of its own; else all see the DataFrame's.
    """

    def __init__(self, reach: Reach, number: int, idle: float, each_action: bool) -> None:
        self.reach = reach
        self.number = number
        self.idle = idle
        self.each_action = each_action

    def partitions(self) -> Sequence[Part]:
        """Settle the parts: in the DataFrame's own moment, or, where each action has its own, in a new one.

        Spark 4.0 asks for each scan, maybe long after the DataFrame's moment was let go; Spark 4.1 asks once.
        """
        reach = self.reach
        number = snapshot_desk.new_number() if self.each_action else self.number
        with reach.connector.open() as session:
            table = find_source(session, reach.wanted)
            key = self._desk(session, selected(session, reach.wanted, table))
            with snapshot.adopted(session, snapshot_desk.ask(session, key, number, self.idle)):
                plan = plan_extract(session, reach.wanted, table)
                shape = reach.shape(session) if self.each_action else ""
            moment = Appointment(key, None if self.each_action else self.number, self.idle, shape)
            return reach.parts(plan, moment, session.server)

    def _desk(self, session: Session, selection: Selection) -> int:
        """The desk of this driver for this source, opened where it is not."""
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
