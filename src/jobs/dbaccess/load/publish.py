"""Publish: one transaction that records a load in the ledger and makes its staged rows part of the target."""

from __future__ import annotations

import logging
from dataclasses import replace

from jobs.dbaccess import locks, table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import ConnectionFailed, ConstraintViolated, LoadError, TransientError
from jobs.dbaccess.load import receipts, scripts, staging, verify
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.move import overwrite, upsert
from jobs.dbaccess.load.move.fill import MayRepeatKeys, choose, fill, is_locked, supply_before
from jobs.dbaccess.load.move.modes import TRUNCATE
from jobs.dbaccess.load.partitions.missing.rules import AUTO
from jobs.dbaccess.load.partitions.replace import build
from jobs.dbaccess.load.partitions.swap import swap
from jobs.dbaccess.load.parts import Tally
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.scripts import Ran, ScriptInterrupted
from jobs.dbaccess.load.verify import Moved
from jobs.dbaccess.session import Session
from jobs.dbaccess.sqlstates import LOCK_TIMEOUT, UNIQUE_VIOLATION

logger = logging.getLogger(__name__)


class AlreadyRecorded(LoadError):
    """The ledger already contains the load id, for the same table. Nothing was published."""


class CommitUncertain(ConnectionFailed):
    """The connection broke before the answer to COMMIT. The ledger shows whether the transaction was committed.

    Attributes:
        published: What the transaction published, if it was committed.
    """

    def __init__(self, error: ConnectionFailed, published: Published) -> None:
        super().__init__(error.message, error.hint, error.sqlstate)
        self.published = published


def publish(session: Session, plan: PublishPlan) -> Published:
    """Make the staged rows part of the target: all of them, or none if this raises.

    Raises:
        CommitUncertain: It is unknown whether the rows were published.
        AlreadyRecorded: Another transaction has recorded the load id.
        LoadError: The parts do not add up, or a key is staged twice.
        TransientError: A lock was not granted in time. The message names the sessions that hold the table.
        DatabaseError: The target rejects the rows.
        UsageError: The load id is taken by another table.
    """
    published = None
    settings = {} if plan.lock_timeout is None else {"lock_timeout": f"{plan.lock_timeout}s"}
    if plan.pauses:
        settings["idle_in_transaction_session_timeout"] = "0"
    try:
        supplied = supply_before(session, plan, settings)
        with session.transaction(**settings):
            done = _publish(session, plan)
            done = replace(done, created=(*supplied, *done.created))
            session.end_deferral()
            published = done
    except MayRepeatKeys as failure:
        if plan.move.keys:
            upsert.check_no_repeated_keys(session, plan.move, plan.staging.rows)
        raise failure.error from None
    except ConstraintViolated as error:
        raise ConstraintViolated(
            error.message, error.hint or _remedy(error, plan), error.sqlstate, error.column, error.line
        ) from None
    except ConnectionFailed as error:
        if published is not None:
            raise CommitUncertain(error, published) from None
        raise
    except TransientError as error:
        if error.sqlstate == LOCK_TIMEOUT and not isinstance(error, ScriptInterrupted):
            to_readers = plan.move.replaces_partitions or plan.move.strategy == TRUNCATE
            raise table_locks.not_granted(session, plan.target, to_readers=to_readers) from None
        raise
    return published


def _remedy(error: ConstraintViolated, plan: PublishPlan) -> str:
    """Return what to do about a row that violates a constraint: the transaction was rolled back."""
    nothing = "Nothing was loaded."
    if error.sqlstate != UNIQUE_VIOLATION or plan.move.mode != "append" or plan.staging.rejects is not None:
        return nothing
    return (
        f"{nothing} --mode upsert (or ignore) with --keys is for rows that the table may have already; "
        "--on-error quarantine puts them aside."
    )


def _publish(session: Session, plan: PublishPlan) -> Published:
    _record(session, plan)
    staged = _close_staging(session, plan)
    if plan.move.replaces_partitions:
        return _replace_partitions(session, plan, staged)
    _take_turn(session, plan)
    _check_rejects(session, plan)
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
    filling = choose(session, plan)
    published = fill(session, plan, filling, staged)
    if plan.verification is not None:
        expected = plan.verification.without(published.lost)
        published = replace(published, verified=verify.verify(session, expected, filling.moved(plan, published)))
    published = replace(published, rejected=_publish_rejects(session, plan, published.staged.rows))
    staging.drop(session, plan.staging)
    after = scripts.run(session, plan.scripts.after, scripts.AFTER)
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


def _replace_partitions(session: Session, plan: PublishPlan, staged: Tally) -> Published:
    """Complete the tables that replace partitions and verify their rows, before the target is locked.

    The turn comes first: to read what a partition is locks the table, and the load whose turn it is would wait for
    that lock until it gave up.
    """
    verified = None
    if plan.verification is not None:
        rows = plan.staging.rows
        moved = Moved(plan.target, rows, is_whole=True, leaves_out=False, changed=staged.rows, becomes=rows)
        verified = verify.verify(session, plan.verification, moved)
    _take_turn(session, plan)
    made_as = plan.move.new_partitions or AUTO
    built = build(session, plan.staging, plan.target, staged.rows, new_partitions=made_as, patience=plan.lock_timeout)
    staging.drop(session, plan.staging)
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
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


def _record(session: Session, plan: PublishPlan) -> None:
    """Record the load. This comes first: by the ledger's primary key, publishes of one load id wait for each other.

    A session whose connection broke may still be publishing. This waits until its transaction ends.

    Raises:
        AlreadyRecorded: A committed transaction has recorded the load id.
        UsageError: The load id is taken by another table.
        LoadError: The marker table takes no marker.
    """
    if not plan.ledger.record(session, plan.load_id, str(plan.target)):
        plan.ledger.check_recorded(session, plan.load_id, plan.target)
        raise AlreadyRecorded(f"The load id {plan.load_id!r} was recorded by another run meanwhile.")


def _close_staging(session: Session, plan: PublishPlan) -> Tally:
    """Lock out late attempts, then determine which of the staged rows count.

    Spark has all of its results. COPYs still running can no longer claim a part, so their sessions are terminated. The
    claims are read after the tables were locked, because one may be committed until then.
    """
    for pid in staging.end_writers(session, plan.staging):
        logger.info("Terminated a COPY whose part another attempt had completed (server process %d).", pid)
    session.run(staging.locking(plan.staging))
    return receipts.accept(session, plan.staging, plan.receipts)


def _take_turn(session: Session, plan: PublishPlan) -> None:
    """Wait for other loads into the table: two that update the same rows in different orders would deadlock.

    A script may delete what it is to replace, so it must see the rows of the load before. What locks the table does so
    before a script changes it: to lock it more strongly afterwards could deadlock with a writer who waits for the
    script.
    """
    if plan.takes_turns:
        locks.wait_in_transaction(session, locks.publish(plan.target))
    columns.add_missing(session, plan.target, plan.metadata)  # this takes the strongest lock, so it comes first
    if plan.scripts.before and tables.find_table(session, plan.target) is not None and is_locked(session, plan):
        overwrite.lock(session, plan.target)
