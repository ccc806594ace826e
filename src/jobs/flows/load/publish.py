"""The driver's part in a load's promise: staging tables that do not outlive it, and one publish whatever breaks.

A driver may lose its connection at any moment, and the server may not notice that for minutes. Another session then
takes the broken one's place: it terminates that session's server process, takes over what it held, and publishes. The
ledger decides what a lost answer to COMMIT meant: a publish records the load id first, so that it waits for a
transaction that is still at it, and finds the id where that was committed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from jobs.dbaccess import backends
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, JobError
from jobs.dbaccess.load import ledger, staging, statistics
from jobs.dbaccess.load.publish import AlreadyRecorded, CommitUncertain, Published, PublishPlan, publish
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.postgres_connectivity import connect_pinned
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.target import Target

RECONNECTIONS = 2
"""How often a publish goes on over another connection: one may have broken while rows were copied, one since."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Driver:
    """How a load's driver connects.

    Attributes:
        label: for pg_stat_activity.
        has_sidecar: a sidecar process holds the load's id and its staging tables; else the driver's own session does.
    """

    settings: Settings
    label: str
    has_sidecar: bool = False

    def connect(self) -> Session:
        """A session of the driver's."""
        return connect_pinned(self.settings, self.label)

    @contextmanager
    def usable(self, session: Session) -> Iterator[Session]:
        """The session, or, where its connection broke, another one in its place."""
        if not session.closed:
            yield session
            return
        with self.connect() as replacement:
            backends.end(replacement, session.backend)
            yield replacement


@contextmanager
def staging_tables(driver: Driver, session: Session, names: Staging, target: Target) -> Iterator[None]:
    """Create staging tables for the block, which publishes them; drop them when it raises."""
    staging.create(session, names, target.name, target.new_types, target.move.keys)
    try:
        yield
    except BaseException:
        staging.discard(session, names)
        if session.closed:
            with suppress(JobError), driver.usable(session) as replacement:
                staging.discard(replacement, names)
        raise


@contextmanager
def taken_over(driver: Driver, session: Session, plan: PublishPlan) -> Iterator[Session]:
    """Another session in place of one whose connection broke, which holds what that one held."""
    with driver.usable(session) as replacement:
        if not driver.has_sidecar:
            ledger.await_load(replacement, plan.load_id)
            staging.hold(replacement, plan.staging)
        yield replacement


def publish_once(driver: Driver, session: Session, plan: PublishPlan) -> Published | None:
    """Publish, also over a connection that has broken or breaks.

    Args:
        driver: connects again.
        session: of the driver.
        plan: what to publish.

    Returns:
        What was published; None where another run has published this load id.

    Raises:
        UsageError: the load id is taken by another table.
        JobError: the staged rows cannot be published; or each connection broke, and a rerun tells.
    """
    published = None
    with ExitStack() as replacements:
        for reconnections_left in reversed(range(RECONNECTIONS + 1)):
            try:
                return publish(session, plan)
            except AlreadyRecorded:
                staging.discard(session, plan.staging)
                return published
            except ConnectionFailed as error:
                if not reconnections_left:
                    raise
                if isinstance(error, CommitUncertain):
                    published = error.published
                logger.warning("The connection broke: %s Publishing over another one.", error.message)
            session = replacements.enter_context(taken_over(driver, session, plan))
    raise AssertionError("the last attempt returns or raises")


def analyze(driver: Driver, session: Session, target: TableName, mode: str, published: Published) -> None:
    """Refresh the planner's statistics. A load that is published does not fail for want of them."""
    changed = None if mode == "overwrite" else published.inserted + published.updated
    try:
        with driver.usable(session) as usable:
            statistics.refresh(usable, target, changed)
    except JobError as error:
        logger.warning("The rows are loaded, but ANALYZE %s failed: %s", target, error.message)
