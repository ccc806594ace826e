"""The steps that make staged rows rows of the table."""

from __future__ import annotations

from collections.abc import Iterator

from jobs.dbaccess import table_locks
from jobs.dbaccess.load.dry_run.creating import creating, supplying
from jobs.dbaccess.load.dry_run.held import for_writing, on_target
from jobs.dbaccess.load.dry_run.steps import PUBLISH, Known, Lock, Step
from jobs.dbaccess.load.move import overwrite, slices
from jobs.dbaccess.load.move.by_keys import difference, upsert
from jobs.dbaccess.load.move.by_keys.merge_statements import Merge
from jobs.dbaccess.load.move.by_keys.upsert import Upsert
from jobs.dbaccess.load.move.by_keys.versions import VERSIONS, Versions
from jobs.dbaccess.load.move.modes import TRUNCATE, Move
from jobs.dbaccess.load.publish_plan import PublishPlan


def moving(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that make staged rows rows of the table, which may be new."""
    target, staged, move = plan.target, plan.staging.rows, plan.move
    if plan.is_new:
        yield from creating(plan)
    yield from supplying(plan, known)
    if keeps_writers_out(plan, known):
        yield keeping_writers_out(plan, known)
    written = for_writing(plan, known)
    if move.strategy == "diff":
        by_keys = Upsert(difference.upserting(move, known.respelled), target, staged, known.equalities)
        yield Step(PUBLISH, by_keys.delete_missing(), locks=written)
        skips = bool(by_keys.move.values)
        yield Step(PUBLISH, _writing(by_keys, known, skips=skips), locks=written)
    elif move.mode == "overwrite":
        for statement in overwrite.replacing(move, target, staged, at_once=known.at_once):
            truncates = move.strategy == TRUNCATE and not plan.is_new and statement == overwrite.deleting(move, target)
            taken = (on_target(plan, known, table_locks.ACCESS_EXCLUSIVE),) if truncates else written
            yield Step(PUBLISH, statement, locks=taken)
    elif move.keeps_history or known.merges:
        yield from _changing(plan, known, written)
    elif move.mode == "upsert":
        yield from _upserting(plan, known, written)
    elif known.in_slices:
        condition = f"for each {slices.PAGES} pages of the staged rows"
        slice_ = slices.slice_of(move, staged, 0)
        yield Step(PUBLISH, move.insert_from(target, slice_), locks=written, condition=condition)
    else:
        yield Step(PUBLISH, move.insert(target, staged), locks=written)


def _changing(plan: PublishPlan, known: Known, written: tuple[Lock, ...]) -> Iterator[Step]:
    """Yield the steps of an upsert by several statements, or of a history."""
    target, staged, move = plan.target, plan.staging.rows, plan.move
    if not move.keeps_history:
        skips = move.skip_unchanged != "no"
        merge = Merge(move, target, staged, known.equalities, skips=skips, marks_by_time=known.marks_by_time)
        for statement in merge.statements():
            yield Step(PUBLISH, statement, locks=written)
        return
    versions = Versions(move, target, staged, known.equalities, time_type=known.time_type)
    for statement in versions.statements():
        values = versions.values(move.history.as_of or "the time of the publish") if "$1" in statement else ()
        yield Step(PUBLISH, statement, values, locks=() if VERSIONS in statement[:40] else written)


def _upserting(plan: PublishPlan, known: Known, written: tuple[Lock, ...]) -> Iterator[Step]:
    """Yield the step of an upsert. If a sample decides, these are two, of which one is executed."""
    statements = Upsert(plan.move, plan.target, plan.staging.rows, known.equalities)
    at_least = f"{upsert.WORTHWHILE:.0%} of a sample of the rows are unchanged"
    for skips, condition in _choices(plan.move, at_least):
        yield Step(PUBLISH, _writing(statements, known, skips=skips), locks=written, condition=condition)


def _writing(statements: Upsert, known: Known, *, skips: bool) -> str:
    return statements.writing(skips=skips, is_partitioned=known.is_partitioned, takes_every_row=known.takes_every_row)


def _choices(move: Move, at_least: str) -> list[tuple[bool, str]]:
    """Return whether unchanged rows are skipped, and when."""
    if move.skip_unchanged == "no" or not move.values:
        return [(False, "")]
    return [(True, "")] if move.skip_unchanged == "yes" else [(True, f"if {at_least}"), (False, f"unless {at_least}")]


def keeps_writers_out(plan: PublishPlan, known: Known) -> bool:
    """Return whether the table is locked against other writers."""
    return plan.move.mode == "overwrite" or plan.move.keeps_history or known.merges


def keeping_writers_out(plan: PublishPlan, known: Known) -> Step:
    """Return the step that locks the table against other writers."""
    taken = () if plan.is_new else (on_target(plan, known, table_locks.SHARE_ROW_EXCLUSIVE),)
    return Step(PUBLISH, table_locks.keeping_writers_out(plan.target), locks=taken)
