"""The steps that create the table and its partitions."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess.load import staging
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.dry_run.held import for_attaching
from jobs.dbaccess.load.dry_run.steps import PUBLISH, Known, Step
from jobs.dbaccess.load.partitions import new
from jobs.dbaccess.load.partitions.missing.key import Wanted
from jobs.dbaccess.load.publish_plan import PublishPlan


def renaming(plan: PublishPlan) -> Iterator[Step]:
    """Yield the steps by which the staged table becomes the table."""
    for statement in staging.renaming(plan.staging, plan.target):
        yield Step(PUBLISH, statement)
    for statement in plan.shape.altering(plan.target):
        yield Step(PUBLISH, statement)
    if plan.move.keys:
        yield Step(PUBLISH, columns.adding_key(plan.target, plan.move.keys))


def creating(plan: PublishPlan) -> Iterator[Step]:
    """Yield the steps that create an empty table."""
    yield from _creating_table(plan)
    for text in plan.first_indexes:
        yield Step(PUBLISH, indexes.creating(plan.target, text))
    for statement in plan.shape.altering(plan.target):
        yield Step(PUBLISH, statement)


def _creating_table(plan: PublishPlan) -> Iterator[Step]:
    if not plan.definitions:
        yield Step(PUBLISH, staging.creating_target(plan.staging, plan.target, plan.move.keys))
        return
    yield Step(PUBLISH, columns.creation(plan.target, plan.definitions, plan.shape.clause))
    if plan.move.keys:
        condition = "unless the columns' definitions make the keys unique"
        yield Step(PUBLISH, columns.adding_key(plan.target, plan.move.primary_key), condition=condition)


def supplying(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that create partitions. Their names and bounds depend on the rows, unless they are by hash."""
    by = plan.shape.partition_by
    if by is None and not plan.move.supplies_partitions:
        return
    bounds = by.bounds if by else ()
    wanted = new.numbered(plan.target, bounds) or [Wanted(plan.target.sibling("PARTITION"), "FOR VALUES ...")]
    condition = "" if bounds else "for each partition that rows lack"
    if known.default is not None:
        condition += ", in a transaction before this one"
    attached = () if plan.is_new else tuple(for_attaching(plan, known))
    for one, attaching in zip(wanted, new.attaching(plan.target, wanted)):
        yield Step(PUBLISH, new.creating(plan.target, one), condition=condition)
        yield Step(PUBLISH, attaching, locks=attached, condition=condition)
