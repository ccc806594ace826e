"""Carries over one batch after another, until nothing is new, the time is over, or the run is asked to stop.

A notification only ends a wait early. Whether something is new, the table of changes says, and it is asked twice a
second in any case.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar

from jobs.dbaccess import locks
from jobs.dbaccess.capture import changes, readers
from jobs.dbaccess.capture.changes import Source
from jobs.dbaccess.capture.position import Position, Seen
from jobs.dbaccess.capture.positions import Mark
from jobs.dbaccess.errors import DatabaseError, UsageError, plural
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.dbaccess.sqlstates import UNDEFINED_COLUMN, UNDEFINED_TABLE
from jobs.flows.capture.batch import Batch
from jobs.flows.capture.job import CaptureJob, Stop, Stopped
from jobs.flows.capture.report import CaptureReport
from jobs.flows.capture.source_end import Former, first_batch

POLL = 0.5
"""Seconds after which a waiting reader looks by itself."""

HEARTBEAT = 10.0
"""Seconds between stored positions, prunings, and looks at the triggers of a table in which nothing changes."""

LOGGED = 60.0
"""Seconds between lines in the log."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before connecting again. They double, and are randomly shortened."""

MOST_FAILURES = 5
"""How often in a row a run that is to end by itself may fail. One that runs until it is stopped tries for ever."""

logger = logging.getLogger(__name__)


class Use(Protocol):
    """The sessions of a run, and how far it is; see `connections.Connections`."""

    @property
    def at_source(self) -> Session:
        """Listens, and stores positions."""

    @property
    def source(self) -> Source:
        """What is carried over."""

    @property
    def mark(self) -> Mark:
        """What the position belongs to."""

    @property
    def reader(self) -> str:
        """The reader's id."""

    @property
    def position(self) -> Position | None:
        """How far it is."""

    @property
    def seen(self) -> Seen | None:
        """The snapshot of the position."""

    def moved(self: U, to: Position) -> U:
        """Return the same after a batch."""


U = TypeVar("U", bound=Use)


@dataclass(frozen=True)
class End(Generic[U]):
    """Where changes are carried to.

    Attributes:
        connect: Opens all sessions.
        carry: Carries one batch; returns None if nothing is new.
    """

    connect: Callable[[CaptureJob, ExitStack, Stop, Former], U]
    carry: Callable[[U, Stop], Batch | None]


def follow(job: CaptureJob, stop: Stop, end: End[U]) -> CaptureReport:
    """Carry over changes.

    Args:
        job: What to do, and for how long.
        stop: Is asked between batches, and while rows are copied.
        end: Where to.

    Raises:
        UsageError: The job cannot be done as it is stated.
        DatabaseError: A server refuses something, or cannot be reached for too long.
    """
    return _Follower(job, stop, end).run()


def _changed(job: CaptureJob, error: DatabaseError) -> UsageError | None:
    """Return what to tell if somebody has changed what is captured, or the copy; None for another error."""
    if error.sqlstate == UNDEFINED_COLUMN:
        return UsageError(
            f"A column of {job.table} or its copy was renamed or dropped while this ran: {error.message}",
            "Start it again: it takes the columns as they are then.",
        )
    if error.sqlstate != UNDEFINED_TABLE:
        return None
    return UsageError(
        f"{job.table}, its capture or its copy was dropped while this ran: {error.message}",
        "Start it again: what is missing of the capture and the copy is then created again. If the table is not "
        "to come back, --drop removes what remains of its capture.",
    )


class _Follower(Generic[U]):
    """A run: its connections come and go, what it has done adds up."""

    def __init__(self, job: CaptureJob, stop: Stop, end: End[U]) -> None:
        self._job = job
        self._stop = stop
        self._end = end
        self._start = time.monotonic()
        self._report = CaptureReport(str(job.table), job.goal, job.channel)
        self._failures = 0
        self._former: Former = {}
        self._unstored = 0
        self._beat = self._logged = self._start

    def run(self) -> CaptureReport:
        while not self._stop.wanted:
            try:
                with ExitStack() as stack:
                    self._follow(self._end.connect(self._job, stack, self._stop, self._former))
                break
            except Stopped:
                break
            except DatabaseError as error:
                if changed := _changed(self._job, error):
                    raise changed from None
                self._pause(error)
        seconds = round(time.monotonic() - self._start, 3)
        return replace(self._report, stopped=self._stop.wanted, seconds=seconds)

    @property
    def _is_over(self) -> bool:
        seconds = self._job.seconds
        return seconds is not None and time.monotonic() - self._start >= seconds

    def _pause(self, error: DatabaseError) -> None:
        """Wait before connecting again.

        Raises:
            DatabaseError: The failure is permanent, or one too many.
        """
        self._failures += 1
        ends_by_itself = self._job.seconds is not None
        if not error.transient or (ends_by_itself and self._failures >= MOST_FAILURES):
            raise error
        longest = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        pause = longest * random.uniform(0.5, 1)  # noqa: S311 - not for secrets
        logger.warning("%s Connecting again in %.1f s.", error.message, pause)
        self._report = replace(self._report, reconnected=self._report.reconnected + 1)
        self._stop.sleep(pause)

    def _follow(self, use: U) -> None:
        capture = use.source.capture
        self._report = replace(
            self._report, table=str(capture.table), target=use.mark.name, channel=capture.channel,
            reader=use.reader,
        )  # fmt: skip
        self._beat = -HEARTBEAT
        while True:
            with first_batch(use.at_source, capture, use.reader) if use.position is None else nullcontext():
                done = self._end.carry(use, self._stop)
            if done is not None:
                use = use.moved(done.position)
                self._count(use, done)
            self._failures = 0
            if self._stop.wanted or self._is_over:
                break
            self._keep_house(use)
            if done is not None:
                self._linger()
            self._wait(use)
        self._store(use)

    def _linger(self) -> None:
        """Let changes come together, which are one batch then."""
        left = math.inf if self._job.seconds is None else self._start + self._job.seconds - time.monotonic()
        self._stop.sleep(max(0.0, min(self._job.interval, left)))

    def _count(self, use: U, done: Batch) -> None:
        if done.compared:  # its snapshot was open for long
            logger.info(
                "Compared all rows of %s: %s written, %s deleted.",
                use.source.capture.table,
                f"{done.applied.written:,}",
                f"{done.applied.deleted:,}",
            )
        self._unstored += done.applied.written + done.applied.deleted
        report = self._report
        self._report = replace(
            report,
            batches=report.batches + 1,
            compared=report.compared + bool(done.compared),
            rows_written=report.rows_written + done.applied.written,
            rows_deleted=report.rows_deleted + done.applied.deleted,
            position=done.position.snapshot,
        )

    def _keep_house(self, use: U) -> None:
        """Store the position at the source and prune changes, now and then."""
        now = time.monotonic()
        if now - self._beat >= HEARTBEAT:
            self._beat = now
            self._store(use)
        if now - self._logged >= LOGGED:
            self._logged = now
            report = self._report
            logger.info(
                "%s: %s, %s written, %s deleted so far; at the source's snapshot %s.",
                report.target,
                plural(report.batches, "batch", "batches"),
                plural(report.rows_written, "row"),
                f"{report.rows_deleted:,}",
                report.position,
            )

    def _store(self, use: U) -> None:
        position = use.position
        if position is None:
            return
        capture = use.source.capture
        readers.store(use.at_source, capture, position, self._unstored)
        self._unstored = 0
        readers.prune(use.at_source, capture)

    def _wait(self, use: U) -> None:
        """Wait until there are changes, the run is to end, or a heartbeat is due.

        While the reader holds the lock, a writer that commits notifies. A writer that found the lock free holds a share
        of it until it ends: then the lock cannot be taken, and the reader looks by itself.
        """
        seen = use.seen
        if seen is None:
            return
        lock = locks.capture_asleep(use.source.capture.function)
        session = use.at_source
        session.run(f"LISTEN {quote_name(use.source.capture.channel)}")
        asleep = False
        try:
            while not (self._stop.wanted or self._is_over or time.monotonic() - self._beat >= HEARTBEAT):
                asleep = asleep or locks.take(session, lock)
                if changes.are_waiting(session, use.source.capture, seen):
                    return
                session.wait(POLL if asleep else POLL / 5)
        finally:
            if not session.closed:
                if asleep:
                    locks.release(session, lock)
                session.run("UNLISTEN *")
