"""What a release is going to do: the steps of its tables, which are staged one by one and published together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.dbaccess.load import staging
from jobs.dbaccess.load.dry_run.around import analyzing, preparing, recording, taking_turn
from jobs.dbaccess.load.dry_run.held import for_writing
from jobs.dbaccess.load.dry_run.moving import keeping_writers_out, keeps_writers_out
from jobs.dbaccess.load.dry_run.outline import completing, filling, staged
from jobs.dbaccess.load.dry_run.steps import PUBLISH, Known, Step
from jobs.dbaccess.load.move import deletion
from jobs.dbaccess.load.publish_plan import TransactionPlan


def outline_together(transaction: TransactionPlan, known: Sequence[Known]) -> list[Step]:
    """Return the steps of a release.

    Args:
        transaction: What is to be published. Receipts are not needed.
        known: What the catalog says, of each of its tables.
    """
    tables = list(zip(transaction.plans, known))
    return [
        *preparing(known[0]),
        *(step for plan, of_table in tables for step in staged(plan, of_table)),
        *_publishing(transaction, known),
        *(analyzing(plan, of_table) for plan, of_table in tables),
    ]


def _publishing(transaction: TransactionPlan, known: Sequence[Known]) -> Iterator[Step]:
    """Yield the steps of the publishing transaction."""
    of_table = {plan.target: (plan, one) for plan, one in zip(transaction.plans, known)}
    yield recording(transaction.plans[0], known[0], PUBLISH, transaction.targets)
    for plan in transaction.plans:
        yield Step(PUBLISH, staging.locking(plan.staging))
    for plan in transaction.by_name:
        yield taking_turn(plan)
    for plan, one in (of_table[plan.target] for plan in transaction.by_name):
        if not plan.is_new and keeps_writers_out(plan, one):
            yield keeping_writers_out(plan, one)
    if transaction.deferred:
        yield Step(PUBLISH, transaction.deferring)
    for plan, one in (of_table[target] for target in transaction.emptied):
        yield Step(PUBLISH, deletion.deleting(plan.target), locks=for_writing(plan, one))
    for plan, one in of_table.values():
        yield from filling(plan, one)
    for plan in transaction.plans:
        yield from completing(plan)
