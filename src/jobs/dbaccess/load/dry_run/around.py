"""The steps that a load has before and after those that write rows."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess import locks, table_locks
from jobs.dbaccess.load import ledger, statistics
from jobs.dbaccess.load.dry_run.held import on_target
from jobs.dbaccess.load.dry_run.steps import ANALYZE, PREPARE, PUBLISH, Known, Lock, Step
from jobs.dbaccess.load.marker_targets import naming
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.sql import TableName


def preparing(known: Known) -> list[Step]:
    """Return the step that creates the marker table, if it does not exist."""
    return [Step(PREPARE, known.creates_markers)] if known.creates_markers else []


def recording(plan: PublishPlan, known: Known, phase: str, targets: Sequence[TableName] = ()) -> Step:
    """Return the step that records the load, or the release into these tables."""
    marked = Lock.of(str(known.markers), table_locks.ROW_EXCLUSIVE)
    return Step(
        phase, ledger.recording(known.markers.quoted), (plan.load_id, naming(targets or (plan.target,))), (marked,)
    )


def taking_turn(plan: PublishPlan) -> Step:
    """Return the step that waits until no other load of the table is being published."""
    lock = locks.publish(plan.target)
    turn = Lock(f"publishing into {plan.target}", "advisory", "other loads of the table, except appends")
    return Step(PUBLISH, locks.WAIT_IN_TRANSACTION, (lock.name,), (turn,))


def analyzing(plan: PublishPlan, known: Known) -> Step:
    """Return the step that refreshes the planner's statistics."""
    is_new = plan.move.replaces_all or plan.is_new or plan.alterations.widened
    condition = "" if is_new else f"if {statistics.SHARE:.0%} of the rows changed"
    analyzed = (on_target(plan, known, table_locks.SHARE_UPDATE_EXCLUSIVE),)
    return Step(ANALYZE, statistics.analyzing(plan.target), locks=analyzed, condition=condition)
