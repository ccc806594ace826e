"""Publish: one transaction that records a load in the ledger and makes its staged rows part of the target."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from jobs.dbaccess import locks, table_locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import ConnectionFailed, ConstraintViolated, DatabaseError, LoadError, TransientError
from jobs.dbaccess.load import definitions, receipts, scripts, staging, verify
from jobs.dbaccess.load.definitions import Definition
from jobs.dbaccess.load.ledger import LUIGIS, Ledger
from jobs.dbaccess.load.move import difference, overwrite, slices, upsert
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.slices import Pace
from jobs.dbaccess.load.move.upsert import Written
from jobs.dbaccess.load.partitions import suitability
from jobs.dbaccess.load.partitions.replace import build
from jobs.dbaccess.load.partitions.swap import swap
from jobs.dbaccess.load.parts import Tally
from jobs.dbaccess.load.receipts import Receipt
from jobs.dbaccess.load.scripts import Ran, ScriptInterrupted, Scripts
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.load.verify import Moved, Verification, Verified
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PublishPlan:
    """What to publish.

    Attributes:
        receipts: The receipts of the attempts that count, as reported by Spark: one for each part.
        is_new: Whether the load creates the table.
        verification: What the table's rows are compared with before the commit, or None to compare nothing.
        scripts: SQL of the user's own, which is run before and after the rows are moved.
        ledger: What records the load.
        lock_timeout: The longest time to wait for each lock, in seconds; None for what the user's settings say.
        definitions: Of the columns of a new table, if they are not those of staging.
        metadata: Columns that the table is to have: they are added if it exists and lacks them.
        pace: Decides when the next slice of rows is moved, in the mode append; None moves all in one statement.
        indexes: Indexes of a new table, beside its primary key: they are built when the rows are in it.
    """

    load_id: str
    target: TableName
    staging: Staging
    receipts: tuple[Receipt, ...]
    move: Move
    is_new: bool
    verification: Verification | None = None
    scripts: Scripts = field(default_factory=Scripts)
    ledger: Ledger = LUIGIS
    lock_timeout: int | None = None
    definitions: tuple[Definition, ...] = ()
    metadata: tuple[Definition, ...] = ()
    pace: Pace | None = None
    indexes: tuple[str, ...] = ()

    @property
    def takes_turns(self) -> bool:
        """Whether it waits until other publishes into the table have ended."""
        return self.move.mode != "append" or bool(self.scripts) or bool(self.metadata)

    @property
    def pauses(self) -> bool:
        """Whether the transaction waits between statements: for standbys, or until readers let go."""
        return self.pace is not None or self.move.replaces_partitions

    def received(self, receipts: Sequence[Receipt]) -> PublishPlan:
        """Return the plan when all parts are staged.

        Args:
            receipts: The receipts of the attempts that Spark accepted.
        """
        verification = self.verification
        if verification is not None:
            verification = replace(verification, expected=verify.expected_sum(receipts))
        return replace(self, receipts=tuple(receipts), verification=verification)


@dataclass(frozen=True)
class Published:
    """What was staged, what the target gained, what of that was compared with Spark's rows, and what scripts did.

    Attributes:
        replaced: The partitions that were replaced.
        parts_kept: Direct parts that an earlier run of the load had copied. `staged` has the bytes of the others.
    """

    staged: Tally
    inserted: int
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    verified: Verified | None = None
    ran: Ran = field(default_factory=Ran)
    replaced: tuple[TableName, ...] = ()
    parts_kept: int = 0

    @property
    def ignored(self) -> int:
        """How many staged rows the mode or a trigger left out."""
        return self.staged.rows - self.inserted - self.updated - self.unchanged


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
        with session.transaction(**settings):
            done = _publish(session, plan)
            session.end_deferral()
            published = done
    except _MayRepeatKeys as failure:
        if plan.move.keys:
            upsert.check_no_repeated_keys(session, plan.move, plan.staging.rows)
        raise failure.error from None
    except ConnectionFailed as error:
        if published is not None:
            raise CommitUncertain(error, published) from None
        raise
    except TransientError as error:
        if error.sqlstate == table_locks.LOCK_TIMEOUT and not isinstance(error, ScriptInterrupted):
            to_readers = plan.move.replaces_partitions
            raise table_locks.not_granted(session, plan.target, to_readers=to_readers) from None
        raise
    return published


class _MayRepeatKeys(Exception):
    """The target rejected the rows, and the reason may be that keys are staged more than once. For here alone."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(error.message)
        self.error = error


_SAME_ROW_TWICE = "21000"
"""ON CONFLICT DO UPDATE command cannot affect row a second time"""


def _publish(session: Session, plan: PublishPlan) -> Published:
    _record(session, plan)
    staged = _close_staging(session, plan)
    if plan.move.replaces_partitions:
        return _replace_partitions(session, plan, staged)
    _take_turn(session, plan)
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
    missing = plan.is_new and tables.find_table(session, plan.target) is None
    renamed = missing and staging.is_logged(session, plan.staging)
    blocks = verify.blocks(session, plan.target) if plan.verification and not missing else 0
    if missing and plan.move.keys:
        upsert.check_keys_not_null(session, plan.move, plan.staging.rows, plan.staging.rows)
    if renamed:
        _rename_to_target(session, plan)
        if plan.move.where is not None:
            overwrite.check_slice(session, plan.move, plan.target)
        published = Published(staged, staged.rows)
    else:
        if missing:
            _create_target(session, plan)
            tables.tell_subscribers(session, plan.target)
        written = _move(session, plan, staged.rows)
        published = Published(staged, written.inserted, written.updated, written.unchanged, written.deleted)
        if published.ignored:
            # The mode or a trigger left rows out, or a crash emptied staging.
            receipts.check_all_there(session, plan.staging, staged.rows)
            _check_counts(session, plan, published)
    if missing:
        definitions.create_indexes(session, plan.target, plan.indexes)
    if plan.verification is not None:
        moved = _moved(plan, published, missing=missing, renamed=renamed, blocks=blocks)
        published = replace(published, verified=verify.verify(session, plan.verification, moved))
    staging.drop(session, plan.staging)
    after = scripts.run(session, plan.scripts.after, scripts.AFTER)
    return replace(published, ran=Ran(before, after))


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
    built = build(session, plan.staging, plan.target, staged.rows)
    staging.drop(session, plan.staging)
    before = scripts.run(session, plan.scripts.before, scripts.BEFORE)
    swap(session, plan.target, built, plan.lock_timeout)
    after = scripts.run(session, plan.scripts.after, scripts.AFTER)
    replaced = tuple(replacement.partition.name for replacement in built)
    return Published(staged, staged.rows, verified=verified, ran=Ran(before, after), replaced=replaced)


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


def _check_counts(session: Session, plan: PublishPlan, published: Published) -> None:
    """Check that the mode, or a trigger or rule of the table, can have skipped rows.

    Raises:
        LoadError: Nothing can have, so the server's count is wrong.
    """
    may_leave_out = plan.move.may_leave_out or plan.move.mode == "upsert"
    if not may_leave_out and tables.takes_every_row(session, plan.target):
        raise LoadError(
            f"{published.staged.rows} rows were staged, and the server counted {published.inserted} that it "
            f"inserted, though nothing in {plan.target} leaves rows out.",
            "Nothing was loaded. Check any proxy between this job and the server, and run the load again.",
        )


def _moved(plan: PublishPlan, published: Published, *, missing: bool, renamed: bool, blocks: int) -> Moved:
    """Return what is to be verified."""
    move = plan.move
    is_whole = missing or move.replaces_all
    return Moved(
        plan.target,
        None if renamed else plan.staging.rows,
        is_whole=is_whole,
        leaves_out=move.may_leave_out or (published.unchanged > 0 and not is_whole),
        changed=published.inserted + published.updated + (published.unchanged if is_whole else 0),
        blocks_before=blocks if move.mode == "append" or move.where is not None else 0,
    )


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

    A script may delete what it is to replace, so it must see the rows of the load before. An overwrite locks the table
    before a script changes it: to lock it more strongly afterwards could deadlock with a writer who waits for the
    script.
    """
    move = plan.move
    if plan.takes_turns:
        locks.wait_in_transaction(session, locks.publish(plan.target))
    definitions.add_missing(session, plan.target, plan.metadata)  # this takes the strongest lock, so it comes first
    if move.mode == "overwrite" and plan.scripts.before and tables.find_table(session, plan.target) is not None:
        overwrite.lock(session, plan.target)


def _rename_to_target(session: Session, plan: PublishPlan) -> None:
    """Rename the staged table to the target, so that the server need not write every row a second time.

    Its primary key is built from the sorted rows, which is cheaper than to insert each one.
    """
    for statement in staging.renaming(plan.staging, plan.target):
        session.run(statement)
    if plan.move.keys:
        with _repeated_keys_reported(plan):
            session.run(definitions.adding_key(plan.target, plan.move.keys))


def _create_target(session: Session, plan: PublishPlan) -> None:
    """Create the table, with its keys, if any, as primary key."""
    if plan.definitions:
        definitions.create(session, plan.target, plan.definitions, plan.move.keys)
        return
    session.run(staging.creating_target(plan.staging, plan.target, plan.move.keys))


def _move(session: Session, plan: PublishPlan, rows: int) -> Written:
    """Move the staged rows."""
    target, staged, move = plan.target, plan.staging.rows, plan.move
    with _repeated_keys_reported(plan):
        if move.strategy == "diff":
            return difference.replace_rows(session, move, target, staged, rows)
        if move.mode == "overwrite":
            replaced = overwrite.replace_rows(session, move, target, staged)
            return Written(replaced.inserted, deleted=replaced.deleted)
        if move.mode == "upsert":
            return upsert.upsert(session, move, target, staged, rows)
        if plan.pace is not None and slices.can_slice(session, move, target):
            return Written(slices.insert(session, move, target, staged, plan.pace))
        with session.users_path():
            return Written(session.change(move.insert(target, staged)))


@contextmanager
def _repeated_keys_reported(plan: PublishPlan) -> Iterator[None]:
    """Raise _MayRepeatKeys if the block fails as it does if keys are staged more than once."""
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate == _SAME_ROW_TWICE or (plan.is_new and isinstance(error, ConstraintViolated)):
            raise _MayRepeatKeys(error) from None
        raise


def check_target(session: Session, target: TableName, move: Move) -> None:
    """Check that an existing table suits the mode, before anything is copied.

    Raises:
        LoadError: A unique index on the keys is missing; or overwrite would leave rows, or change other tables' rows.
    """
    if move.keys:
        upsert.check_unique_index(session, move, target)
    if move.strategy == "diff":
        difference.check(session, target)
    if move.replaces_partitions:
        suitability.check_target(session, target)
    if move.mode == "overwrite":
        with session.transaction():
            overwrite.check(session, move, target)
