"""A load of one small part: it is copied straight into the table, and its marker is written in the same transaction.

It is as atomic as a load that is published from staging, and needs neither a second table nor a second transaction. The
task commits. So the driver, before it says that a load failed, makes sure that no attempt can commit any more, and then
looks whether one has.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import JobError, LoadError
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.direct import Direct, Marker
from jobs.dbaccess.load.copying.parts import Tally, refused_row, tally
from jobs.dbaccess.load.copying.receipts import PartFailed
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import Driver
from jobs.flows.load.stage import Encoded
from jobs.flows.report import Stopwatch
from jobs.spark.plans.repeatable import end_may_lie, input_size

SMALL = 256 * 1024 * 1024
"""The most bytes of input: while they are copied, the table is locked as by any INSERT."""

logger = logging.getLogger(__name__)


def why_staged(session: Session, plan: PublishPlan, table: Table | None, encoded: Encoded) -> str:
    """Return why a load cannot be one transaction of its task; empty if it can. The job may have reasons of its own.

    Args:
        session: A session of the table's database.
        plan: What is to be published.
        table: The table in the catalog, or None if the load creates it.
        encoded: The rows.
    """
    if encoded.parts != 1:
        return f"there are {encoded.parts} parts"
    if plan.move.mode != "append":
        return f"the mode is {plan.move.mode}"
    if table is None or plan.is_new or plan.metadata or plan.alterations or plan.move.supplies_partitions:
        return "the load creates the table, or columns, or partitions, or changes types"
    if plan.scripts or plan.lock_timeout is not None:
        return "scripts or a lock timeout belong to the publication of the rows"
    if input_size(encoded.lines) > SMALL:
        return "the input is large"
    return direct.why_not(session, table) or end_may_lie(encoded.lines, encoded.blocks)


def load_one_part(
    driver: Driver, session: Session, plan: PublishPlan, copy: Callable[[Direct], object], watch: Stopwatch
) -> Published | None:
    """Load one part by a transaction of its task.

    Args:
        driver: How to connect again.
        session: The driver's session.
        plan: What to load. Its receipts are not used.
        copy: Copies to a destination, by a task, and returns when Spark has accepted an attempt.
        watch: Takes the time.

    Returns:
        What was committed, also if Spark reported an error after that; or None if the marker is there, and this run has
        not written it.

    Raises:
        PartFailed: The task recorded why it could not copy. Nothing was loaded.
        LoadError: Nothing was loaded, or that is unknown.
    """
    marker = Marker(plan.ledger.located(session), plan.load_id, plan.target)
    try:
        with commits_allowed(driver, session, plan.staging) as run:
            copy(Direct(plan.target, plan.staging, marker))
            with watch.phase("publish"):
                _settle(driver, session, plan, run)
        return _published(run.committed)
    except Unsettled:
        raise
    except Exception as error:
        with driver.usable(session) as usable:
            if not plan.ledger.is_recorded(usable, plan.load_id, plan.target):
                raise
        logger.warning("The rows had been committed when this happened: %s", _first_line(error))
        return _published(run.committed)


class Unsettled(LoadError):
    """A run failed, and whether its attempts have committed, or still can, is unknown."""


@dataclass
class Run:
    """A run whose attempts may commit.

    Attributes:
        committed: What they have committed, known when the run has ended; None if that is not known.
    """

    committed: Tally | None = None


@contextmanager
def commits_allowed(driver: Driver, session: Session, names: Staging) -> Iterator[Run]:
    """Allow attempts to commit during the block. If it raises, they cannot any more, whatever becomes of their tasks.

    Raises:
        Unsettled: The block raised, and the server could not be reached.
    """
    run = Run()
    staging.create_parts(session, names)
    try:
        yield run
    except BaseException as error:
        if _closed(driver, session, names, run) or not isinstance(error, Exception):
            raise
        raise Unsettled(
            f"{_first_line(error)} The server could not be asked then whether rows were committed.",
            "A rerun with the same load id loads what was not.",
        ) from None


def _closed(driver: Driver, session: Session, names: Staging, run: Run) -> bool:
    """End the run for all its attempts. Return whether that was possible."""
    try:
        with driver.usable(session) as usable:
            run.committed = direct.close(usable, names) or run.committed
    except JobError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return error.message if isinstance(error, JobError) else str(error).strip().partition("\n")[0]


def _settle(driver: Driver, session: Session, plan: PublishPlan, run: Run) -> None:
    """End the run after Spark has accepted an attempt."""
    with driver.usable(session) as usable:
        run.committed = committed = tally(usable, plan.staging)
        if committed.failure is not None and not committed.parts:
            raise PartFailed(committed.failure, "Nothing was loaded.", refused_row(usable, plan.staging))
        direct.close(usable, plan.staging)
        plan.ledger.check_recorded(usable, plan.load_id, plan.target)


def _published(committed: Tally | None) -> Published | None:
    return Published(committed, committed.rows) if committed is not None and committed.parts else None
