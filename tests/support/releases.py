"""Rows staged for several tables, and published together, as a release does it, without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.move.modes import DELETE, Move
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.publish import publish_together
from jobs.dbaccess.load.publish_plan import Published, PublishPlan, TransactionPlan
from jobs.dbaccess.load.together.foreign_keys import find_arrangement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

Rows = Sequence[Sequence[object]]


def staged(session: Session, load_id: str, tables: Mapping[str, tuple[Move, Rows]]) -> TransactionPlan:
    """What is to be published: by table, how its rows are moved, and the rows. The tables are in the schema public."""
    moves = {TableName(name, "public"): move for name, (move, _) in tables.items()}
    replaced = [name for name, move in moves.items() if move.replaces_all and move.strategy == DELETE]
    arrangement = find_arrangement(session, list(moves), replaced)
    plans = []
    for target in arrangement.tables:
        move, rows = replace(moves[target], emptied=arrangement.empty_at(target)), tables[target.name][1]
        check_target(session, target, move)
        names = staging.plan_staging(target, move.columns)
        staging.create_beside(session, names, target)
        lines = "".join("\t".join("\\N" if v is None else str(v) for v in row) + "\n" for row in rows)
        parts.begin_attempt(session, names, 0, 0)
        parts.copy_part(session, names, 0, 0, [Counted(lines.encode(), len(rows))])
        plans.append(PublishPlan(load_id, target, names, (Receipt(0, 0),), move, is_new=False))
    return TransactionPlan(tuple(plans), arrangement.emptied, arrangement.deferred)


def release(session: Session, load_id: str, tables: Mapping[str, tuple[Move, Rows]]) -> dict[str, Published]:
    """Stage and publish. What was published, by table."""
    transaction = staged(session, load_id, tables)
    try:
        published = publish_together(session, transaction)
    except BaseException:
        for plan in transaction.plans:
            staging.discard(session, plan.staging)
        raise
    return {target.name: one for target, one in zip(transaction.targets, published)}
