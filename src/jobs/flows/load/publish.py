"""What the driver does for a load's promise: it drops staging tables on failure, and publishes once, whatever breaks.

A driver can lose its connection at any moment, and the server may take minutes to notice. Then another session replaces
the broken one: it terminates that session's server process, takes its locks, and publishes. After a lost answer to
COMMIT, the ledger shows what happened: each publish records the load id first, so it waits for a transaction of the
same id that is still open, and finds the id if that transaction was committed.

Jobs, releases and `pgcopy` share this. They differ in who holds the locks: the driver's own session, or a sidecar.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from jobs.dbaccess import backends, locks
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.errors import ConnectionFailed, JobError, LoadError, TransientError
from jobs.dbaccess.load import staging, statistics
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.publish import AlreadyRecorded, CommitUncertain, publish_together
from jobs.dbaccess.load.publish_plan import Published, PublishPlan, TransactionPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import DEADLOCK, SERIALIZATION_FAILURE
from jobs.flows.load.targets.target import Target

RECONNECTIONS = 2
"""How often a publish connects again: one connection may have broken while rows were copied, and one since."""

CONFLICTS = 5
"""How often a publish is tried again after a deadlock or a serialization failure."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Driver:
    """How a load's driver connects.

    Attributes:
        connector: Opens its sessions.
        has_sidecar: Whether a sidecar process holds the locks of the load, instead of the driver's own session.
    """

    connector: Connector
    has_sidecar: bool = False

    def connect(self) -> Session:
        """Open a session of the driver."""
        return self.connector.open()

    @contextmanager
    def usable(self, session: Session) -> Iterator[Session]:
        """Yield the session, or another one in its place if its connection broke."""
        if not session.closed:
            yield session
            return
        with self.connect() as replacement:
            backends.end(replacement, session.backend)
            yield replacement


@contextmanager
def staging_tables(driver: Driver, session: Session, names: Staging, target: Target) -> Iterator[None]:
    """Create staging tables for the block, which publishes them. Drop them if it raises."""
    if target.move.replaces_partitions:
        staged.create(session, names, target.name)
    else:
        staging.create(session, names, target.name, target.new_types, logged=target.is_staging)
    try:
        yield
    except BaseException:
        staging.discard(session, names)
        if session.closed:
            with suppress(JobError), driver.usable(session) as replacement:
                staging.discard(replacement, names)
        raise


@contextmanager
def taken_over(driver: Driver, session: Session, transaction: TransactionPlan) -> Iterator[Session]:
    """Yield another session in place of one whose connection broke. It holds the locks that the broken one held."""
    with driver.usable(session) as replacement:
        if not driver.has_sidecar:
            locks.wait(replacement, transaction.ledger.lock(replacement, transaction.load_id))
            for plan in transaction.plans:
                staging.hold(replacement, plan.staging)
        yield replacement


@contextmanager
def answering(driver: Driver, session: Session, transaction: TransactionPlan) -> Iterator[Session]:
    """Yield the session, or another one in its place if its connection broke unnoticed, while rows were copied.

    For a while, nobody held the locks: what they protect may not be there any more.

    Raises:
        JobError: There is no other connection.
    """
    with suppress(ConnectionFailed):
        session.run("SELECT 1")
    if not session.closed:
        yield session
        return
    logger.warning("The connection broke while rows were copied. Going on over another one.")
    with taken_over(driver, session, transaction) as replacement:
        yield replacement


def check_still_staged(session: Session, transaction: TransactionPlan, tables: Sequence[TableName]) -> None:
    """Check what another run or another load may have done while nobody held the locks of a release.

    Args:
        session: A session that holds them again.
        transaction: What is staged.
        tables: All tables of the release.

    Raises:
        AlreadyRecorded: Another run has published it.
        LoadError: Another load has swept staging.
    """
    if transaction.ledger.is_recorded(session, transaction.load_id, *tables):
        raise AlreadyRecorded(f"The load id {transaction.load_id!r} was recorded by another run meanwhile.")
    for plan in transaction.plans:
        if not staging.exists(session, plan.staging):
            raise LoadError(
                f"{plan.target}: Another load dropped what was staged, because the connection that held it broke.",
                "Nothing was loaded. Run it again.",
            )


def publish_once(driver: Driver, session: Session, plan: PublishPlan) -> Published | None:
    """Publish a load. Arguments, result and errors are as those of `publish_together_once`."""
    published = publish_together_once(driver, session, TransactionPlan((plan,)))
    return None if published is None else published[0]


def publish_together_once(
    driver: Driver, session: Session, transaction: TransactionPlan
) -> tuple[Published, ...] | None:
    """Publish, over another connection if this one has broken or breaks.

    Args:
        driver: How to connect again.
        session: The driver's session.
        transaction: What to publish.

    Returns:
        What was published, of each table, or None if another run has published this load id.

    Raises:
        UsageError: The load id is taken by another table.
        JobError: The staged rows cannot be published; or several connections broke, and a rerun shows what happened.
    """
    published = None
    with ExitStack() as replacements:
        for reconnections_left in reversed(range(RECONNECTIONS + 1)):
            try:
                return _publish_despite_conflicts(session, transaction)
            except AlreadyRecorded:
                for plan in transaction.plans:
                    staging.discard(session, plan.staging)
                return published
            except ConnectionFailed as error:
                if not reconnections_left:
                    raise
                if isinstance(error, CommitUncertain):
                    published = error.published
                logger.warning("The connection broke: %s Publishing over another one.", error.message)
            session = replacements.enter_context(taken_over(driver, session, transaction))
    raise AssertionError("the last attempt returns or raises")


def _publish_despite_conflicts(session: Session, transaction: TransactionPlan) -> tuple[Published, ...]:
    """Publish, again if the server ended the transaction to resolve a conflict with another one.

    Nothing of such a transaction remains, and the staged rows are unchanged. The other transaction goes on, so there is
    no need to wait: the next attempt waits for its locks.
    """
    for attempts_left in reversed(range(CONFLICTS + 1)):
        try:
            return publish_together(session, transaction)
        except TransientError as error:
            if error.sqlstate not in (SERIALIZATION_FAILURE, DEADLOCK) or not attempts_left:
                raise
            logger.warning("Another transaction conflicted with this one: %s Publishing again.", error.message)
    raise AssertionError("the last attempt returns or raises")


def analyze(driver: Driver, session: Session, target: TableName, move: Move, published: Published) -> None:
    """Refresh the planner's statistics. A failure is only logged, since the rows are loaded.

    The server forgets those of a column whose type is changed.
    """
    is_new = move.replaces_all or bool(published.columns_widened)
    changed = None if is_new else published.inserted + published.updated + published.deleted
    try:
        with driver.usable(session) as usable:
            statistics.refresh(usable, target, changed)
    except JobError as error:
        logger.warning("The rows are loaded, but ANALYZE %s failed: %s", target, error.message)
