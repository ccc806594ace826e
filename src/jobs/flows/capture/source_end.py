"""The source's end of a capture: its session, what is captured, who reads it, and who has read it before."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from jobs.dbaccess import backends, locks
from jobs.dbaccess.capture import captured, changes, file_keys, readers
from jobs.dbaccess.capture.changes import Source
from jobs.dbaccess.capture.objects import Capture
from jobs.dbaccess.capture.position import Position
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import JobError
from jobs.dbaccess.extract.selection import Selection, filtered
from jobs.dbaccess.session import Backend, Session
from jobs.flows.capture.job import CaptureJob, Stopped

HELD_FOR = 60
"""Seconds to wait for another job that writes the target: it may be one whose connection has just broken."""

Former = dict[str, Backend]
"""The server processes that a run has used last, by their use."""


def open_source(job: CaptureJob, stack: ExitStack, former: Former) -> tuple[Session, Capture, Table]:
    """Open the session at the source. Return it, and the capture and its table.

    Args:
        job: What to capture.
        stack: Closes the session.
        former: The sessions that this run has used before.

    Raises:
        UsageError: There is no such table, or its changes cannot be captured.
        DatabaseError: The server cannot be reached.
    """
    session = stack.enter_context(job.source.open())
    succeed(session, "source", former)
    set_timeouts(session)
    return session, *captured.find(session, job.table, job.channel)


def succeed(session: Session, use: str, former: Former) -> None:
    """End the session that had this use before, if it still exists, and remember this one.

    The server may take minutes to notice that a connection broke, and until then the session keeps its locks.
    """
    if use in former:
        backends.end(session, former[use])
    former[use] = session.backend


def set_timeouts(session: Session) -> None:
    """Set no limits of time, whatever the role's are: the first copy may take hours, and idle times are normal."""
    session.run(
        "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('statement_timeout', "
        "'transaction_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout')"
    )


def lock_target(session: Session, job: CaptureJob, lock: locks.Lock) -> None:
    """Lock the target until the session ends. A run without an end waits between attempts, so each of these is short.

    Raises:
        TransientError: Another job holds the lock.
    """
    locks.wait(session, lock, HELD_FOR if job.seconds is not None else HELD_FOR // 20)


def source_of(session: Session, job: CaptureJob, capture: Capture, table: Table, ordinal: str = "") -> Source:
    """Return what is carried over.

    Args:
        session: At the source.
        job: What to capture.
        capture: The capture.
        table: Its table.
        ordinal: A column that is included, too; empty for none.

    Raises:
        UsageError: A column does not exist, or the filter is not a boolean expression.
    """
    wanted = (*job.columns, ordinal) if job.columns and ordinal else job.columns
    names = [column.name for column in table.columns]
    columns = changes.check_columns(names, wanted, [key.name for key in capture.keys])
    if job.filter:
        filtered(session, Selection.of_table(capture.table), job.filter)
    return Source(capture, columns, job.filter)


def origin(session: Session, capture: Capture) -> str:
    """Return a name for a table that is unique among servers and databases."""
    [server, database] = session.row(2, "SELECT system_identifier::text, current_database() FROM pg_control_system()")
    return f"{server}/{database}/{capture.table}"


def lock_reader(session: Session, capture: Capture, position: Position | None, label: str) -> str:
    """Return the id of the position's reader, or of a new one if the capture does not know it. Show that it runs.

    Args:
        session: At the source.
        capture: The capture.
        position: How far the target is; None before its first batch.
        label: What the reader writes, for people.
    """
    if position is not None and readers.is_known(session, capture, position.reader):
        reader = position.reader
    else:
        for dead in readers.stillborn(session, capture, label):
            _forget(session, capture, dead)
        reader = str(uuid.uuid4())
        readers.register(session, capture, reader, label)
    locks.take(session, locks.capture_reader(reader))
    return reader


@contextmanager
def first_batch(session: Session, capture: Capture, reader: str) -> Iterator[None]:
    """Forget a new reader if its first batch fails in the block: changes would be kept for it for ever.

    If the failure is temporary, the batch may have been committed. The next attempt knows.
    """
    try:
        yield
    except (JobError, Stopped) as error:
        if not getattr(error, "transient", False):
            with suppress(JobError):
                _forget(session, capture, reader)
        raise


def _forget(session: Session, capture: Capture, reader: str) -> None:
    readers.forget(session, capture, reader)
    file_keys.forget(session, capture, reader)
