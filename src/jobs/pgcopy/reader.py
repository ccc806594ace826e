"""Reads for Spark: the driver plans parts in a snapshot that a keeper holds; executors copy and decode them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.datasource import DataSourceReader, InputPartition
from pyspark.sql.types import StructType

from jobs.dbaccess import snapshot
from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.settings import Server, Settings
from jobs.dbaccess.snapshot import Snapshot
from jobs.flows.source import Source, Wanted, find_source, settle_readings, settle_source
from jobs.pgcopy.holdings import HeldSnapshot
from jobs.pgcopy.keeper import keep
from jobs.spark import cellarrow, cellnested
from jobs.spark.fetch import read_part
from jobs.spark.reading import Reading, schema_of


@dataclass(frozen=True)
class Part(InputPartition):
    """What a task reads: SELECTs in a snapshot, on the one server that knows it."""

    number: int
    moment: Snapshot
    server: Server
    queries: tuple[str, ...]
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class Reach:
    """What all parts of a read share.

    Attributes:
        schema: as Spark was told.
    """

    settings: Settings
    wanted: Wanted
    schema: StructType

    @property
    def label(self) -> str:
        """For pg_stat_activity."""
        return f"pgjobs pgcopy {self.wanted}"

    def parts(self, source: Source, moment: Snapshot, server: Server) -> list[Part]:
        """The parts of a source that was settled in a moment.

        Raises:
            ExtractError: it has other columns than Spark was told.
        """
        found = schema_of(source.readings)
        if _plain(found) != _plain(self.schema):
            raise ExtractError(
                f"{self.wanted} has the columns {found.simpleString()}, and not {self.schema.simpleString()}.",
                "Leave .schema() out and cast afterwards; if the table has changed, make the DataFrame anew.",
            )
        return [Part(number, moment, server, queries, source.readings) for number, queries in enumerate(source.parts)]

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Copy a part, decoded.

        Raises:
            ExtractError: a value that Spark cannot hold.
            SnapshotLost: the moment is held no more.
        """
        there, label = self.settings.at(part.server), f"{self.label} part {part.number}"
        blocks = read_part(there, part.moment, part.queries, label)
        return cellnested.finished(cellarrow.batches(blocks, part.readings), part.readings)


def _plain(schema: StructType) -> list[tuple[str, str]]:
    """Names and types alone: whether a value may be missing is Spark's own note."""
    return [(field.name, field.dataType.simpleString()) for field in schema]


def discover(settings: Settings, wanted: Wanted) -> StructType:
    """The schema of what is to be read, by the catalogue.

    Raises:
        UsageError: it cannot be read.
    """
    with connect(settings, f"pgjobs pgcopy {wanted}") as session:
        return schema_of(settle_readings(session, wanted, find_source(session, wanted))[1])


class BatchReader(DataSourceReader):
    """Reads all of it, as of one moment.

    Args:
        reach: what is read.
        idle: seconds that the moment is held after the last task has read in it.
    """

    def __init__(self, reach: Reach, idle: float) -> None:
        self.reach = reach
        self.idle = idle

    def partitions(self) -> Sequence[Part]:
        """Take the snapshot, and settle the parts in it."""
        reach = self.reach
        with connect(reach.settings, reach.label) as session:
            table = find_source(session, reach.wanted)
            selection, _ = settle_readings(session, reach.wanted, table)
            held = HeldSnapshot(selection.select(["1"]), self.idle)
            moment = keep(reach.settings.at(session.server), f"{reach.label} snapshot", held)
            with snapshot.adopted(session, moment):
                return reach.parts(settle_source(session, reach.wanted, table), moment, session.server)

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """On an executor: copy a part."""
        assert isinstance(partition, Part)  # noqa: S101 - Spark hands back what `partitions` gave
        return self.reach.read(partition)
