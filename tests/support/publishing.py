"""Rows staged and published into the table t, as a load does it, without Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

from jobs.dbaccess.load import scripts, staging
from jobs.dbaccess.load.copying import parts
from jobs.dbaccess.load.copying.parts import Counted
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.slices import Pace
from jobs.dbaccess.load.move.suitable import check_target
from jobs.dbaccess.load.partitions import staged
from jobs.dbaccess.load.publish import publish
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.verify import Verification
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

T = TableName("t", "public")
AB = ("a", "b")
"""Its columns, in most tests."""

IDS = count()
Rows = Sequence[Sequence[object]]


def load(
    session: Session,
    move: Move,
    rows: Rows,
    types: Sequence[str] = (),
    load_id: str = "",
    meanwhile: Callable[[], None] = lambda: None,
    verification: Verification | None = None,
    before: str | None = None,
    after: str | None = None,
    publish: Callable[[Session, PublishPlan], Published] = publish,
    lock_timeout: int | None = None,
    pace: Pace | None = None,
) -> Published:
    """Stage rows and publish them; with types, into a table that is to be made; with what happens before publish."""
    names = staging.plan_staging(T, move.staged, extras=move.staged_only)
    if types:
        staging.create_for_new(session, names, types, logged=move.fills_new_table)
    else:
        check_target(session, T, move)
        staged.create(session, names, T) if move.replaces_partitions else staging.create_beside(session, names, T)
    lines = "".join("\t".join("\\N" if v is None else str(v) for v in row) + "\n" for row in rows)
    parts.begin_attempt(session, names, 0, 0)
    parts.copy_part(session, names, 0, 0, [Counted(lines.encode(), len(rows))])
    load_id = load_id or f"load-{next(IDS)}"
    plan = PublishPlan(load_id, T, names, (Receipt(0, 0),), move, bool(types), verification)
    plan = replace(plan, scripts=scripts.parse(before, after), lock_timeout=lock_timeout, pace=pace)
    meanwhile()
    try:
        return publish(session, plan)
    except BaseException:
        staging.discard(session, names)
        raise


def counts(published: Published) -> tuple[int, int, int]:
    return published.inserted, published.updated, published.ignored


def rows_of(session: Session) -> list[list[object]]:
    return session.run("SELECT * FROM t ORDER BY 1, 2")
