"""What a load is going to do: its statements in their order, and the locks that they take.

The statements are those of the modules that execute them. Queries that only check or count are left out: they take
ACCESS SHARE, as any reader does. So is what attempts write about themselves into a table that only the load has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.dbaccess import table_locks
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying.direct import Direct, Marker
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.dry_run.around import analyzing, preparing, recording, taking_turn
from jobs.dbaccess.load.dry_run.creating import renaming
from jobs.dbaccess.load.dry_run.held import for_writing, on_target
from jobs.dbaccess.load.dry_run.moving import keeping_writers_out, keeps_writers_out, moving
from jobs.dbaccess.load.dry_run.steps import COPY, PREPARE, PUBLISH, Known, Lock, Step
from jobs.dbaccess.load.partitions import attempts
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.query.script import Statement


def outline(plan: PublishPlan, known: Known) -> list[Step]:
    """Return the steps of a load by staging.

    Args:
        plan: What is to be published. Its receipts are not needed.
        known: What the catalog says.
    """
    return [
        *preparing(known),
        *staged(plan, known),
        *_publishing(plan, known),
        analyzing(plan, known),
    ]


def staged(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that stage the rows."""
    beside = None if plan.is_new else plan.target
    for statement in staging.creating(plan.staging, beside, known.types, logged=known.is_logged):
        yield Step(PREPARE, statement)
    yield Step(COPY, plan.staging.copy_statement)


def outline_of_one_part(plan: PublishPlan, known: Known) -> list[Step]:
    """Return the steps of a load whose only part is copied straight into the table. Its copy is one transaction."""
    straight = Direct(plan.target, plan.staging, Marker(plan.ledger, plan.load_id, plan.target))
    return [
        *preparing(known),
        Step(PREPARE, staging.creating_parts(plan.staging, logged=False)),
        Step(COPY, straight.copy_statement, locks=for_writing(plan, known)),
        recording(plan, known, COPY),
        Step(PUBLISH, staging.dropping(plan.staging)),
        analyzing(plan, known),
    ]


def _publishing(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps of the publishing transaction."""
    yield recording(plan, known, PUBLISH)
    yield Step(PUBLISH, staging.locking(plan.staging))
    if plan.takes_turns:
        yield taking_turn(plan)
    if not plan.is_new:
        yield from _altering(plan, known)
        for statement in columns.addition(plan.target, plan.metadata):
            yield Step(PUBLISH, statement, locks=(on_target(plan, known, table_locks.ACCESS_EXCLUSIVE),))
        if keeps_writers_out(plan, known) and plan.scripts.before:
            yield keeping_writers_out(plan, known)
    yield from _script(plan.scripts.before)
    yield from filling(plan, known)
    yield from completing(plan)
    yield from _script(plan.scripts.after)


def filling(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that make staged rows rows of the table, and index a new one."""
    if plan.is_new and plan.builds_indexes:
        yield from (Step(PUBLISH, statement) for statement in known.raising)
    yield from renaming(plan) if plan.is_new and known.is_logged else moving(plan, known)
    for text in plan.last_indexes:
        yield Step(PUBLISH, indexes.creating(plan.target, text))


def completing(plan: PublishPlan) -> Iterator[Step]:
    """Yield the steps that publish rows that were put aside, and drop staging."""
    if plan.staging.rejects is not None:
        yield Step(PUBLISH, rejects.creating(plan.target), condition="if rows were put aside, which are then inserted")
    yield Step(PUBLISH, staging.dropping(plan.staging))


def _altering(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that change columns of the table for the data."""
    if plan.alterations:
        kept_out = Lock.of(str(plan.target), table_locks.SHARE_UPDATE_EXCLUSIVE)
        yield Step(PUBLISH, attempts.keeping_changes_out([plan.target]), locks=(kept_out,))
    lock = on_target(plan, known, table_locks.ACCESS_EXCLUSIVE)
    for statement in plan.alterations.statements(plan.target):
        is_rewriting = plan.alterations.rewrites and statement.startswith(
            f"ALTER TABLE {plan.target.quoted} ALTER COLUMN "
        )
        size = f"{plan.alterations.size / 1e6:,.1f} MB"
        condition = f"which writes the table and its indexes anew, {size}, while readers wait" if is_rewriting else ""
        yield Step(PUBLISH, statement, locks=(lock,), condition=condition)


def _script(statements: Sequence[Statement]) -> Iterator[Step]:
    for statement in statements:
        yield Step(PUBLISH, statement.text.strip())
