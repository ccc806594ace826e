"""Fill the table with the staged rows: the staged table becomes it, or the statements of the mode move its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.catalog.row_triggers import takes_every_row
from jobs.dbaccess.errors import ConstraintViolated, DatabaseError, LoadError, plural
from jobs.dbaccess.load import index_settings, staging, verify
from jobs.dbaccess.load.copying import receipts
from jobs.dbaccess.load.copying.parts import Tally
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.move import conversions, keys, overwrite, slices
from jobs.dbaccess.load.move.by_keys import difference, history, merge, upsert
from jobs.dbaccess.load.move.modes import Written
from jobs.dbaccess.load.partitions import new, suitability
from jobs.dbaccess.load.partitions.missing.rules import AUTO
from jobs.dbaccess.load.partitions.new import default_of
from jobs.dbaccess.load.partitions.supply import supply
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.accepted import Accepted, move_accepted
from jobs.dbaccess.load.rejects.constraints import Checked
from jobs.dbaccess.load.rejects.places import PlacesWanted
from jobs.dbaccess.load.verify import Moved
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import CARDINALITY_VIOLATION


class MayRepeatKeys(Exception):
    """The table rejected the rows, and the reason may be that keys are staged more than once. `publish` finds out."""

    def __init__(self, error: DatabaseError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True)
class Filling:
    """How the table gets the staged rows.

    Attributes:
        creates: Whether the table does not exist yet.
        renames: Whether the staged table becomes the table.
        blocks_before: The blocks that the table has before; 0 for a new table, or if the load is not verified.
    """

    creates: bool
    renames: bool
    blocks_before: int

    def moved(self, plan: PublishPlan, published: Published) -> Moved:
        """Return what is to be verified."""
        move = plan.move
        is_whole = self.creates or move.replaces_all
        return Moved(
            plan.target,
            None if self.renames else plan.staging.rows,
            is_whole=is_whole,
            leaves_out=move.may_leave_out or (published.unchanged > 0 and not is_whole),
            changed=published.inserted + published.updated + (published.unchanged if is_whole else 0),
            blocks_before=self.blocks_before if move.mode == "append" or move.where is not None else 0,
            inserter=published.inserter,
        )


def choose(session: Session, plan: PublishPlan) -> Filling:
    """Return how the table gets the rows. Others may have created it since the load was planned."""
    creates = plan.is_new and tables.find_table(session, plan.target) is None
    renames = creates and staging.is_logged(session, plan.staging)
    blocks = verify.blocks(session, plan.target) if plan.verification and not creates else 0
    return Filling(creates, renames, blocks)


def fill(session: Session, plan: PublishPlan, filling: Filling, staged: Tally) -> Published:
    """Make the staged rows rows of the table, which is created if it is missing, with its keys and indexes.

    Raises:
        MayRepeatKeys: The table rejects the rows, maybe because of repeated keys.
        LoadError: Rows are missing, or the mode cannot be applied.
        DatabaseError: The table rejects the rows.
    """
    if filling.creates and plan.move.keys and plan.staging.rejects is None:
        keys.check_not_null(session, plan.move, plan.staging.rows, plan.staging.rows)
    if filling.creates and plan.builds_indexes:
        index_settings.allow(session)
    if filling.renames:
        published = _rename(session, plan, staged)
    else:
        if filling.creates:
            _create(session, plan)
        made = _supply(session, plan, creates=filling.creates)
        published = replace(_move(session, plan, staged), created=made)
        if not filling.creates:
            conversions.check(session, plan.target, plan.staging.rows, plan.move.columns)
    if filling.creates:
        indexes.create(session, plan.target, plan.last_indexes)
    return published


def _rename(session: Session, plan: PublishPlan, staged: Tally) -> Published:
    """Rename the staged table to the target, so that the server need not write every row a second time.

    Its primary key is built from the sorted rows, which is cheaper than to insert each one.
    """
    for statement in (*staging.renaming(plan.staging, plan.target), *plan.shape.altering(plan.target)):
        session.run(statement)
    if plan.move.keys:
        with _repeated_keys_reported(plan):
            session.run(columns.adding_key(plan.target, plan.move.keys))
    if plan.move.where is not None:
        overwrite.check_slice(session, plan.move, plan.target)
    return Published(staged, staged.rows)


def _create(session: Session, plan: PublishPlan) -> None:
    """Create the table, with its keys, if any, as primary key, and with the indexes that keep its rows right."""
    if plan.definitions:
        columns.create(session, plan.target, plan.definitions, plan.move.primary_key, plan.shape.clause)
    else:
        session.run(staging.creating_target(plan.staging, plan.target, plan.move.keys))
    indexes.create(session, plan.target, plan.first_indexes)
    for statement in plan.shape.altering(plan.target):
        session.run(statement)
    tell_subscribers(session, plan.target)


def _move(session: Session, plan: PublishPlan, staged: Tally) -> Published:
    """Move the staged rows, and check that none is missing without a reason."""
    with _repeated_keys_reported(plan):
        accepted = _write_accepted(session, plan, staged)
    staged = replace(staged, rows=accepted.rows)
    published = Published(staged, **asdict(accepted.written))
    published = replace(published, lost=accepted.lost, inserter=accepted.inserter)
    if published.ignored or plan.move.keeps_history:
        # The mode or a trigger left rows out, or a crash emptied staging.
        receipts.check_all_there(session, plan.staging, staged.rows)
        _check_counts(session, plan, published)
    return published


def supply_before(session: Session, plan: PublishPlan, settings: Mapping[str, str]) -> tuple[TableName, ...]:
    """Create partitions in a transaction of its own, if the table has a DEFAULT partition: only then, readers wait.

    Args:
        session: A session without an open transaction.
        plan: What is to be published.
        settings: Server settings of the publishing transaction.
    """
    if not plan.move.supplies_partitions or plan.is_new or default_of(session, plan.target) is None:
        return ()
    with session.transaction(**settings):
        if not staging.exists(session, plan.staging):  # published, and the answer to COMMIT was lost
            return ()
        return supply(session, plan.target, plan.staging.rows, plan.move.new_partitions, plan.lock_timeout)


def _write_accepted(session: Session, plan: PublishPlan, staged: Tally) -> Accepted:
    """Execute the statements of the mode. If bad rows are put aside, put aside those that violate a constraint."""

    def write(rows: int) -> Written:
        return _write(session, plan, rows)

    if plan.staging.rejects is None:
        return Accepted(write(staged.rows), staged.rows)
    checked = Checked(plan.staging, plan.staging.rejects, plan.target, plan.move, plan.rejecting.seeking)
    row = None if plan.verification is None else plan.verification.row
    try:
        return move_accepted(session, checked, write, staged.rows, row)
    except PlacesWanted as wanted:  # too many rows are told without reading the source again
        rejects.check_limits(session, checked.rejects, plan.rejecting.policy, good=wanted.good)
        raise


def _supply(session: Session, plan: PublishPlan, *, creates: bool) -> tuple[TableName, ...]:
    """Create the partitions that the staged rows lack, and return their names."""
    by = plan.shape.partition_by if creates else None
    if by is not None and by.bounds:
        return new.add(session, plan.target, by.bounds)
    if by is None and (creates or not plan.move.supplies_partitions):
        return ()
    if not creates:
        suitability.check_suppliable(session, plan.target, plan.move.columns)  # others may have created it since
    rule = plan.move.new_partitions or AUTO
    puts_aside = plan.staging.rejects is not None
    return supply(session, plan.target, plan.staging.rows, rule, plan.lock_timeout, puts_aside=puts_aside)


def _write(session: Session, plan: PublishPlan, rows: int) -> Written:
    """Execute the statements of the mode."""
    target, staged, move = plan.target, plan.staging.rows, plan.move
    if move.strategy == "diff":
        return difference.replace_rows(session, move, target, staged, rows)
    if move.mode == "overwrite":
        return overwrite.replace_rows(session, move, target, staged)
    if move.keeps_history:
        return history.keep(session, move, target, staged, rows)
    if move.mode == "upsert":
        upserting = merge.merge if merge.is_needed(session, move, target) else upsert.upsert
        return upserting(session, move, target, staged, rows)
    if plan.pace is not None and slices.can_slice(session, move, target):
        return Written(slices.insert(session, move, target, staged, plan.pace))
    with session.users_path():
        return Written(session.change(move.insert(target, staged)))


@contextmanager
def _repeated_keys_reported(plan: PublishPlan) -> Iterator[None]:
    """Raise MayRepeatKeys if the block fails as it does if keys are staged more than once."""
    try:
        yield
    except DatabaseError as error:
        if error.sqlstate == CARDINALITY_VIOLATION or (plan.is_new and isinstance(error, ConstraintViolated)):
            raise MayRepeatKeys(error) from None
        raise


def _check_counts(session: Session, plan: PublishPlan, published: Published) -> None:
    """Check that the mode, or a trigger or rule of the table, can have skipped rows.

    Raises:
        LoadError: Nothing can have, so the server's count is wrong.
    """
    may_leave_out = plan.move.may_leave_out or plan.move.mode == "upsert"
    if not may_leave_out and takes_every_row(session, plan.target):
        raise LoadError(
            f"{plural(published.staged.rows, 'row was', 'rows were')} staged, and the server counted "
            f"{published.inserted:,} that it inserted, though nothing in {plan.target} leaves rows out.",
            "Nothing was loaded. Check any proxy between this job and the server, and run the load again.",
        )


def is_locked(session: Session, plan: PublishPlan) -> bool:
    """Return whether an existing table is going to be locked against other writers."""
    move = plan.move
    if move.mode == "overwrite" or move.keeps_history:
        return True
    return move.mode == "upsert" and merge.is_needed(session, move, plan.target)
