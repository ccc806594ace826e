"""Carries changes into files, by Spark: each batch is a folder of its own, and each change is in at least one of them.

A batch is complete when its folder has _SUCCESS. If the job dies before the position is stored, the next batch, whose
number is higher, contains the same changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from jobs.dbaccess import locks
from jobs.dbaccess.capture import changes, column_types, file_keys, install, positions, readers
from jobs.dbaccess.capture.changes import Look, Source
from jobs.dbaccess.capture.file_keys import OWN_COLUMNS, FileBatch
from jobs.dbaccess.capture.position import Position, Seen
from jobs.dbaccess.capture.positions import Mark
from jobs.dbaccess.capture.target import Applied
from jobs.dbaccess.errors import DatabaseError, ExtractError, JobError, TransientError, UsageError
from jobs.dbaccess.extract import snapshot
from jobs.dbaccess.extract.selection import Selection
from jobs.dbaccess.extract.snapshot import Snapshot, SnapshotLost
from jobs.dbaccess.session import Session
from jobs.flows.capture.batch import Batch, Unarmed, armed, decide
from jobs.flows.capture.follow import End, follow
from jobs.flows.capture.job import CaptureJob, Files, Stop
from jobs.flows.capture.report import CaptureReport
from jobs.flows.capture.source_end import (
    Former,
    lock_reader,
    lock_target,
    open_source,
    origin,
    source_of,
    succeed,
)
from jobs.flows.extract.dataframe import reading
from jobs.flows.extract.incremental import check_ordinal
from jobs.flows.extract.job import FilesJob, write
from jobs.flows.extract.plan import ExtractPlan, Wanted, by_blocks, plan_extract
from jobs.spark import hadoop_files

_MARKED = "mapreduce.fileoutputcommitter.marksuccessfuljobs"
"""Whether Spark writes _SUCCESS, without which a batch is none. Some users turn that off for all of their jobs."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FileConnections:
    """The sessions of a run, all at the source, and what they have to do.

    Attributes:
        at_source: Listens, and holds the target's lock.
        holder: Holds a batch's snapshot.
        worker: Reads and writes in it.
        types: The types of the key's columns.
    """

    spark: SparkSession
    job: CaptureJob
    files: Files
    at_source: Session
    holder: Session
    worker: Session
    source: Source
    types: tuple[str, ...]
    mark: Mark
    reader: str
    position: Position | None
    has_wal: bool

    @property
    def seen(self) -> Seen | None:
        """The snapshot of the position."""
        return None if self.position is None else Seen.parse(self.position.snapshot)

    def moved(self, to: Position) -> FileConnections:
        """Return the same after a batch."""
        return replace(self, position=to)

    def folder(self, number: int) -> str:
        """Return the folder of a batch."""
        return f"{self.files.path.rstrip('/')}/pgjobs_batch={number:012d}"


def run(job: CaptureJob, stop: Stop, start_spark: Callable[[], SparkSession]) -> CaptureReport:
    """Carry changes into files.

    Args:
        job: What to do, and for how long.
        stop: Is asked between batches.
        start_spark: Starts Spark, or returns the session.

    Raises:
        UsageError: The job cannot be done as it is stated.
        ExtractError: The files cannot represent a value.
        DatabaseError: A server refuses something, or cannot be reached for too long.
    """
    end = End(lambda job, stack, stop, former: connect(job, stack, stop, former, spark=start_spark()), carry)
    return follow(job, stop, end)


def connect(job: CaptureJob, stack: ExitStack, stop: Stop, former: Former, *, spark: SparkSession) -> FileConnections:
    """Open the sessions, create what is missing, and tidy up after a job that died."""
    if job.files is None:
        raise UsageError("There is no folder to write to.", "Give --target.")
    at_source, capture, table = open_source(job, stack, former)
    positions.ensure(at_source)
    lock_target(at_source, job, locks.capture_target(job.goal))
    source = source_of(at_source, job, capture, table, job.files.ordinal)
    taken = [name for name in source.columns if name in OWN_COLUMNS]
    if taken:
        raise UsageError(f"{capture.table} has a column {taken[0]}, as the files do.", "Leave it out (--columns).")
    if job.files.ordinal:
        check_ordinal(at_source, job.files.ordinal, table)
    mark = Mark(job.goal, 0, origin(at_source, capture))
    position = positions.find(at_source, mark.name, mark.oid, mark.source)
    install.ensure(at_source, capture, stop.pause)
    file_keys.ensure(at_source, capture)
    if position is not None and not readers.is_known(at_source, capture, position.reader):
        raise UsageError(
            f"The capture does not know the reader of {job.goal} any more: it was forgotten, or the capture dropped.",
            "Give another --target: the files here would lack deletes.",
        )
    reader = lock_reader(at_source, capture, position, job.goal)
    server = job.source.at(at_source.server)
    types = column_types.read(at_source, table.name)
    use = FileConnections(
        spark=spark,
        job=job,
        files=job.files,
        at_source=at_source,
        holder=stack.enter_context(server.open("snapshot")),
        worker=stack.enter_context(server.open("batch")),
        source=source,
        types=tuple(types[key.name].name for key in capture.keys),
        mark=mark,
        reader=reader,
        position=position,
        has_wal=changes.tells_wal(at_source),
    )
    succeed(use.holder, "snapshot", former)
    succeed(use.worker, "batch", former)
    hadoop_files.make_folder(spark, job.files.path)  # readers know by it that there is a capture
    _tidy(use)
    return use


def _tidy(use: FileConnections) -> None:
    """Take back the keys of batches whose files are not complete, and remove what there is of these files."""
    last = 0 if use.position is None else use.position.number
    capture = use.source.capture
    numbers = file_keys.unfinished(use.at_source, capture, use.reader, last)
    incomplete = [number for number in numbers if not _is_complete(use, number)]
    file_keys.take_back(use.at_source, capture, use.reader, incomplete)
    for number in incomplete:
        hadoop_files.remove_folder(use.spark, use.folder(number))


def _is_complete(use: FileConnections, number: int) -> bool:
    return hadoop_files.exists(use.spark, f"{use.folder(number)}/_SUCCESS")


def carry(use: FileConnections, stop: Stop) -> Batch | None:
    """Carry over what is new. Return None if nothing is."""
    try:
        return armed(use.at_source, use.source.capture, stop, lambda: _carry(use, stop))
    except SnapshotLost as error:
        raise TransientError(error.message, error.hint, error.sqlstate) from None
    except ExtractError as error:
        with suppress(JobError):
            use.at_source.run("SELECT 1")
            use.holder.run("SELECT 1")
            raise
        raise TransientError(error.message, error.hint) from None


def _carry(use: FileConnections, stop: Stop) -> Batch | None:
    stop.check()
    exported = snapshot.export(use.holder, use.source.rows)
    try:
        return _carry_snapshot(use, exported)
    finally:
        if not use.holder.closed:
            with suppress(DatabaseError):
                snapshot.release(use.holder)


def _carry_snapshot(use: FileConnections, exported: Snapshot) -> Batch | None:
    capture = use.source.capture
    with snapshot.adopted(use.worker, exported):
        look = changes.look(use.worker, use.source, use.reader, use.seen, has_wal=use.has_wal)
    if not look.armed:
        raise Unarmed
    to, reason = decide(use.source, use.reader, use.position, look)
    if not (reason or look.operations):
        return None
    if reason:
        logger.info("Writing all rows of %s: %s.", capture.table, reason)
    to = replace(to, number=_free_number(use, to.number))
    readers.make_durable(use.at_source, capture, use.reader, look.written)
    batch = _file_batch(use, look, reason)
    rows = 0
    with snapshot.adopted(use.worker, exported):
        is_empty = not use.worker.query(f"SELECT 1 FROM ({batch.select()}) AS batch LIMIT 1")
    if not is_empty:
        with snapshot.adopted(use.worker, exported, "READ WRITE"), use.worker.users_path():
            use.worker.run(batch.add(to.number))
        rows = _write(use, exported, batch, to.number)
    with snapshot.adopted(use.worker, exported, "READ WRITE"):
        with use.worker.users_path():
            use.worker.run(batch.remove())
        positions.store(use.worker, use.mark, use.position, to)
    return Batch(to, Applied(rows), reason, look.delay)


def _file_batch(use: FileConnections, look: Look, reason: str) -> FileBatch:
    return FileBatch(
        reader=use.reader,
        source=use.source,
        types=use.types,
        ordinal=use.files.ordinal,
        seen=None if reason else use.seen,
        is_few=not reason and look.keys <= changes.FEW,
    )


def _free_number(use: FileConnections, number: int) -> int:
    while hadoop_files.exists(use.spark, use.folder(number)):
        number += 1
    return number


def _write(use: FileConnections, exported: Snapshot, batch: FileBatch, number: int) -> int:
    """Write the batch's folder. Return the number of its rows."""
    connector = use.job.source.at(use.holder.server)
    with snapshot.adopted(use.worker, exported):
        plan = plan_batch(use.worker, batch, is_first=use.position is None)
    files = FilesJob(
        Wanted(query=batch.select(), parallelism=len(plan.parts)),
        use.job.settings,
        target=use.folder(number),
        file_format=use.files.file_format,
        write_mode="append",
        writer_options={**use.files.options, _MARKED: "true"},
    )
    with reading(use.spark, connector, plan, exported) as extraction:
        write(extraction.df, files)
    return extraction.rows


def plan_batch(session: Session, batch: FileBatch, *, is_first: bool, parallelism: int | None = None) -> ExtractPlan:
    """Determine how to read a batch's rows: as one part, or those of a first copy by the table's blocks.

    Args:
        session: Sees the snapshot.
        batch: The rows.
        is_first: Whether the reader is new, so that no keys are stored for it.
        parallelism: The number of parts of a first copy; None to choose by size and by how many connections are free.
    """
    # Flat, as in the batches that an older version wrote: readers take all folders for one table.
    plan = plan_extract(session, Wanted(query=batch.select(), parallelism=1, flat=True), None)
    table = batch.source.capture.table
    parts = by_blocks(session, table, parallelism) if is_first else ()
    is_partitioned = any(piece.relation != f"ONLY {table.quoted}" for part in parts for piece in part)
    if not parts or (is_partitioned and batch.source.condition):  # the filter may name the table
        return plan
    expressions = [column.sql for column in plan.columns]
    return replace(
        plan,
        parts=tuple(
            tuple(
                Selection.of_query(batch.all_rows(piece.relation, piece.condition)).select(expressions)
                for piece in part
            )
            for part in parts
        ),
    )
