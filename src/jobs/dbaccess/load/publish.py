"""Publish: one transaction that records a load in the ledger and makes its staged rows part of the target.

The tables of a release are published by one transaction, too. First, all of them are locked, in the order of their
names, so that two releases cannot deadlock. Then rows are moved, those that others reference first.
"""

from __future__ import annotations

import logging
from dataclasses import replace

from jobs.dbaccess import locks, table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import ConnectionFailed, ConstraintViolated, LoadError
from jobs.dbaccess.load import scripts, staging, verify
from jobs.dbaccess.load.copying import receipts
from jobs.dbaccess.load.copying.parts import Tally
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.definitions.alter import alter
from jobs.dbaccess.load.definitions.alterations import Alterations
from jobs.dbaccess.load.fill import Filling, choose, fill, is_locked, supply_before
from jobs.dbaccess.load.followed import stored
from jobs.dbaccess.load.marker_targets import naming
from jobs.dbaccess.load.move import deletion
from jobs.dbaccess.load.partitions.missing.rules import AUTO
from jobs.dbaccess.load.partitions.replace import build
from jobs.dbaccess.load.partitions.swap import swap
from jobs.dbaccess.load.publish_failures import CurrentPlan, explained
from jobs.dbaccess.load.publish_plan import Published, PublishPlan, TransactionPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.scripts import Ran
from jobs.dbaccess.load.verify import Moved
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.query.execute import Done
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import EXCLUSION_VIOLATION, UNIQUE_VIOLATION

logger = logging.getLogger(__name__)


class AlreadyRecorded(LoadError):
    """The ledger already contains the load id, for the same tables. Nothing was published."""


class CommitUncertain(ConnectionFailed):
    """The connection broke before the answer to COMMIT. The ledger shows whether the transaction was committed.

    Attributes:
        published: What the transaction published, if it was committed: of each table.
    """

    def __init__(self, error: ConnectionFailed, published: tuple[Published, ...]) -> None:
        super().__init__(error.message, error.hint, error.sqlstate)
        self.published = published


def publish(session: Session, plan: PublishPlan) -> Published:
    """Make the staged rows part of the target: all of them, or none if this raises. Raises as `publish_together`."""
    [published] = publish_together(session, TransactionPlan((plan,)))
    return published


def publish_together(session: Session, transaction: TransactionPlan) -> tuple[Published, ...]:
    """Make the staged rows of one or several tables part of them: all of them, or none if this raises.

    Returns:
        What was published, in the order of the plans.

    Raises:
        CommitUncertain: It is unknown whether the rows were published.
        AlreadyRecorded: Another transaction has recorded the load id.
        LoadError: The parts do not add up, or a key is staged twice; or another load has moved the position.
        TransientError: A lock was not granted in time. The message names the sessions that hold the table.
        DatabaseError: A target rejects the rows.
        UsageError: The load id is taken by another table.
    """
    try:
        return _publish_once(session, transaction)
    except ConstraintViolated as error:
        exchanging = transaction.exchanging
        if exchanging == transaction or error.sqlstate not in (UNIQUE_VIOLATION, EXCLUSION_VIOLATION):
            raise
    return _publish_once(session, exchanging)


def _publish_once(session: Session, transaction: TransactionPlan) -> tuple[Published, ...]:
    published = None
    at, settings = CurrentPlan(transaction.plans[0]), transaction.settings
    with explained(session, transaction, at):
        try:
            supplied = [supply_before(session, plan, settings) for plan in at.each(transaction.plans)]
            with session.transaction(**settings):
                done = _publish(session, transaction, at)
                session.end_deferral()
                published = tuple(replace(one, created=(*some, *one.created)) for one, some in zip(done, supplied))
        except ConnectionFailed as error:
            if published is not None:
                raise CommitUncertain(error, published) from None
            raise
    return published


def _publish(session: Session, transaction: TransactionPlan, at: CurrentPlan) -> tuple[Published, ...]:
    _record(session, transaction)
    staged = [_close_staging(session, plan) for plan in at.each(transaction.plans)]
    if at.plan.move.replaces_partitions:  # it is alone: a release does not do this
        return (_replace_partitions(session, at, staged[0]),)
    altered = _take_turns(session, transaction, at)
    if transaction.deferred:
        session.run(transaction.deferring)
    planned = {plan.target: plan for plan in transaction.plans}
    emptied = {
        plan.target: _empty(session, plan.target) for plan in at.each(planned[target] for target in transaction.emptied)
    }
    filled = [_fill(session, plan, tally) for plan, tally in zip(at.each(transaction.plans), staged)]
    # To verify rows ends the deferral of constraints, so all rows are moved before.
    completed = [_complete(session, plan, *done) for plan, done in zip(at.each(transaction.plans), filled)]
    return tuple(
        replace(
            one,
            deleted=one.deleted + emptied.get(plan.target, 0),
            columns_added=altered[plan.target].names_added,
            columns_widened=altered[plan.target].names_widened,
        )
        for plan, one in zip(transaction.plans, completed)
    )


def _empty(session: Session, target: TableName) -> int:
    """Delete all rows of a table, which is locked and overwritten later, and return their number."""
    with session.users_path():
        return session.change(deletion.deleting(target))


def _fill(session: Session, plan: PublishPlan, staged: Tally) -> tuple[Published, Filling, tuple[Done, ...]]:
    """Run the script before, and move the rows. Return what was moved, how, and what the script did."""
    _check_rejects(session, plan)
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
    filling = choose(session, plan)
    return fill(session, plan, filling, staged), filling, before


def _complete(
    session: Session, plan: PublishPlan, published: Published, filling: Filling, before: tuple[Done, ...]
) -> Published:
    """Verify what was moved, publish what was put aside, drop staging, run the script after, store the position."""
    if plan.verification is not None:
        expected = plan.verification.without(published.lost)
        published = replace(published, verified=verify.verify(session, expected, filling.moved(plan, published)))
    published = replace(published, rejected=_publish_rejects(session, plan, published.staged.rows))
    staging.drop(session, plan.staging)
    after = scripts.run(session, plan.scripts.after, scripts.AFTER)
    step = plan.next_step
    if step is not None:
        stored.store(session, plan.target, step, plan.load_id)
    return replace(published, ran=Ran(before, after))


def _check_rejects(session: Session, plan: PublishPlan) -> None:
    """Check that as many rejects are staged as the attempts that count have put aside."""
    if plan.staging.rejects is not None:
        expected = sum(receipt.rejected for receipt in plan.receipts)
        rejects.check_count(session, plan.staging.rejects, expected)


def _publish_rejects(session: Session, plan: PublishPlan, good: int) -> int:
    """Publish the rows that were put aside, if there are any, and return their number.

    Raises:
        TooManyRejects: There are more than the user allows.
    """
    if plan.staging.rejects is None:
        return 0
    return rejects.publish(session, plan.staging.rejects, plan.target, plan.load_id, plan.rejecting, good=good)


def _replace_partitions(session: Session, at: CurrentPlan, staged: Tally) -> Published:
    """Complete the tables that replace partitions and verify their rows, before the target is locked.

    The turn comes first: to read what a partition is locks the table, and the load whose turn it is would wait for
    that lock until it gave up.
    """
    plan, verified = at.plan, None
    if plan.verification is not None:
        rows = plan.staging.rows
        moved = Moved(plan.target, rows, is_whole=True, leaves_out=False, changed=staged.rows, becomes=rows)
        verified = verify.verify(session, plan.verification, moved)
    _take_turns(session, TransactionPlan((plan,)), at)
    made_as = plan.move.new_partitions or AUTO
    built = build(session, plan.staging, plan.target, staged.rows, new_partitions=made_as, patience=plan.lock_timeout)
    staging.drop(session, plan.staging)
    zone = session.value("SELECT current_setting('TimeZone')")
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
    with local_settings(session, {"TimeZone": zone}):  # the texts of bounds are compared with those from before
        swap(session, plan.target, built, plan.lock_timeout)
    after = scripts.run(session, plan.scripts.after, scripts.AFTER)
    return Published(
        staged,
        staged.rows,
        verified=verified,
        ran=Ran(before, after),
        replaced=tuple(one.partition.name for one in built if not one.is_new),
        created=tuple(one.partition.name for one in built if one.is_new),
    )


def _record(session: Session, transaction: TransactionPlan) -> None:
    """Record the load. This comes first: by the ledger's primary key, publishes of one load id wait for each other.

    A session whose connection broke may still be publishing. This waits until its transaction ends.

    Raises:
        AlreadyRecorded: A committed transaction has recorded the load id.
        UsageError: The load id is taken by another table.
        LoadError: The marker table takes no marker.
    """
    ledger, load_id, targets = transaction.ledger, transaction.load_id, transaction.targets
    if not ledger.record(session, load_id, naming(targets)):
        ledger.check_recorded(session, load_id, *targets)
        raise AlreadyRecorded(f"The load id {load_id!r} was recorded by another run meanwhile.")


def _close_staging(session: Session, plan: PublishPlan) -> Tally:
    """Lock out late attempts, then determine which of the staged rows count.

    Spark has all of its results. COPYs still running can no longer claim a part, so their sessions are terminated. The
    claims are read after the tables were locked, because one may be committed until then.
    """
    for pid in staging.end_writers(session, plan.staging):
        logger.info("Terminated a COPY whose part another attempt had completed (server process %d).", pid)
    session.run(staging.locking(plan.staging))
    return receipts.accept(session, plan.staging, plan.receipts)


def _take_turns(session: Session, transaction: TransactionPlan, at: CurrentPlan) -> dict[TableName, Alterations]:
    """Wait for other loads into the tables: two that update the same rows in different orders would deadlock.

    Columns are changed then, for which a table is locked most strongly. Return what was changed of what is planned.

    A script may delete what it is to replace, so it must see the rows of the load before. What locks the table does so
    before a script, or the rows of another table of the release, change it: to lock it more strongly afterwards could
    deadlock with a writer who waits for them.
    """
    for plan in at.each(transaction.by_name):
        if plan.takes_turns or transaction.is_release:
            locks.wait_in_transaction(session, locks.publish(plan.target))
    altered = {}
    for plan in at.each(transaction.by_name):
        altered[plan.target] = alter(session, plan.target, plan.alterations, plan.lock_timeout)
        columns.add_missing(session, plan.target, plan.metadata)  # this takes the strongest lock, so it comes first
        changes_before = bool(plan.scripts.before) or transaction.is_release
        if changes_before and tables.find_table(session, plan.target) is not None and is_locked(session, plan):
            table_locks.keep_writers_out(session, plan.target)
    return altered
