"""The sessions of a capture, at the source and at the target, and what was found there when they were opened."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from jobs.dbaccess import backends, locks
from jobs.dbaccess.capture import changes, install, positions, readers, target
from jobs.dbaccess.capture.changes import Source
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.position import Position, Seen
from jobs.dbaccess.capture.positions import Mark
from jobs.dbaccess.capture.target import Target
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract.selection import Selection, filtered
from jobs.dbaccess.session import Backend, Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.job import CaptureJob, Stop

HELD_FOR = 60
"""Seconds to wait for another job that writes the target: it may be one whose connection has just broken."""

Former = dict[str, Backend]
"""The server processes that a run has used last, by their use."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connections:
    """Two sessions, and what they have to do.

    Attributes:
        at_source: Listens, and takes snapshots.
        at_target: Holds the target's lock.
        source: What is carried over.
        target: Where to.
        mark: What the position belongs to.
        reader: The reader's id.
        position: How far it is; None before its first batch.
        has_wal: As `changes.tells_wal`.
    """

    at_source: Session
    at_target: Session
    source: Source
    target: Target
    mark: Mark
    reader: str
    position: Position | None
    has_wal: bool

    @property
    def seen(self) -> Seen | None:
        """The snapshot of the position."""
        return None if self.position is None else Seen.parse(self.position.snapshot)

    def moved(self, to: Position) -> Connections:
        """Return the same after a batch."""
        return replace(self, position=to)


def connect(job: CaptureJob, stack: ExitStack, stop: Stop, former: Former) -> Connections:
    """Open both sessions, and create what is missing.

    Args:
        job: What to do.
        stack: Closes the sessions.
        stop: Ends the wait for locks.
        former: The sessions of this run before.

    Raises:
        UsageError: The job cannot be done as it is stated.
        TransientError: Another job holds the target, or a lock was not granted.
        DatabaseError: A server cannot be reached, or refuses something.
    """
    at_source = stack.enter_context(job.source.open())
    capture, table = install.find(at_source, job.table, job.channel)
    at_target = stack.enter_context(job.target.open("target"))
    for use, session in (("source", at_source), ("target", at_target)):
        succeed(session, use, former)
        set_timeouts(session)
    positions.ensure(at_target)
    if job.into is None:
        raise UsageError("There is no table to write.", "Give --into.")
    into = tables.full_name(at_target, job.into)
    locks.wait(at_target, locks.capture_target(into), held_for(job))
    columns = changes.check_columns(
        [column.name for column in table.columns], job.columns, [key.name for key in capture.keys]
    )
    if job.filter:
        filtered(at_source, Selection.of_table(capture.table), job.filter)
    source_name = origin(at_source, capture)
    keys = tuple(key.name for key in capture.keys)
    if tables.find_table(at_target, into) is None:
        types = target.base_types(at_source, table.name)
        _create(at_target, into, [(name, types[name][0]) for name in columns], keys)
    found = _find(at_target, into, columns, keys)
    if source_name == origin(at_target, replace(capture, table=found.name)):
        raise UsageError(f"{found.name} cannot be captured into itself.", "Name another --into.")
    position = positions.find(at_target, str(found.name), found.oid, source_name)
    install.ensure(at_source, capture, stop.pause)
    if position is not None and readers.is_known(at_source, capture, position.reader):
        reader = position.reader
    else:
        reader = str(uuid.uuid4())
        readers.register(at_source, capture, reader, f"{job.target.settings.address} {found.name}")
    locks.take(at_source, locks.capture_reader(reader))
    target.begin_batches(at_target, found)
    source = Source(capture, found.columns, job.filter)
    return Connections(
        at_source=at_source,
        at_target=at_target,
        source=source,
        target=found,
        mark=Mark(str(found.name), found.oid, source_name),
        reader=reader,
        position=position,
        has_wal=changes.tells_wal(at_source),
    )


def succeed(session: Session, use: str, former: Former) -> None:
    """End the session that had this use before, if it still exists, and remember this one.

    The server may take minutes to notice that a connection broke, and until then the session keeps its locks.
    """
    if use in former:
        backends.end(session, former[use])
    former[use] = session.backend


def set_timeouts(session: Session) -> None:
    """No statement of ours is to end by a role's timeout: the first copy may take hours, and idle times are normal."""
    session.run(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', "
        "'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')"
    )


def held_for(job: CaptureJob) -> int:
    """Return how long to wait for another job that writes the target. One that runs for ever waits between attempts."""
    return HELD_FOR if job.seconds is not None else HELD_FOR // 20


def origin(session: Session, capture: Capture) -> str:
    """Return a name for a table that is unique among servers and databases."""
    [server, database] = session.row(2, "SELECT system_identifier::text, current_database() FROM pg_control_system()")
    return f"{server}/{database}/{capture.table}"


def _create(session: Session, name: TableName, columns: Sequence[tuple[str, str]], keys: Sequence[str]) -> None:
    """Create the target, with columns of these names and types."""
    with session.transaction():
        session.run(target.create_table(name, columns, keys))
    tables.tell_subscribers(session, name)
    logger.info("Created %s.", name)


def _find(session: Session, name: TableName, columns: tuple[str, ...], keys: tuple[str, ...]) -> Target:
    table = tables.find_table(session, name)
    if table is None:
        raise UsageError(f"The target {name} was dropped meanwhile.", "Start this again.")
    return target.describe(session, table, columns, keys)
