"""The locks that the steps of a load take."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess import table_locks
from jobs.dbaccess.load.dry_run.steps import Known, Lock
from jobs.dbaccess.load.publish_plan import PublishPlan


def on_target(plan: PublishPlan, known: Known, mode: str) -> Lock:
    """Return a lock on the target."""
    children = known.relatives.children
    what = "partitions" if known.is_partitioned else "child tables"
    return Lock.of(f"{plan.target} and its {what} ({children})" if children else str(plan.target), mode)


def for_writing(plan: PublishPlan, known: Known) -> tuple[Lock, ...]:
    """Return the locks of writing to the table. Foreign keys are checked by locking rows of the other table.

    Nobody else sees a table that the transaction creates.
    """
    if plan.is_new:
        return ()
    deletes = plan.move.mode == "overwrite" or plan.move.changes.removes or plan.move.keeps_history
    others = [*known.relatives.referenced, *(known.relatives.referencing if deletes else ())]
    return (
        on_target(plan, known, table_locks.ROW_EXCLUSIVE),
        *(Lock.of(str(table), table_locks.ROW_SHARE) for table in dict.fromkeys(others)),
    )


def for_attaching(plan: PublishPlan, known: Known) -> Iterator[Lock]:
    """Yield the locks of attaching a partition."""
    yield Lock.of(str(plan.target), table_locks.SHARE_UPDATE_EXCLUSIVE)
    if known.default is not None:
        yield Lock.of(str(known.default), table_locks.ACCESS_EXCLUSIVE)
    for table in known.relatives.referenced:
        yield Lock.of(str(table), table_locks.SHARE_ROW_EXCLUSIVE)
