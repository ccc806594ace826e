"""What a load is going to do: its statements in their order, and the locks that they take. Nothing is executed.

The statements are those of the modules that execute them. Queries that only check or count are left out: they take
ACCESS SHARE, as any reader does. So is what attempts write about themselves into a table that only the load has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from jobs.dbaccess import locks, table_locks
from jobs.dbaccess.catalog.relatives import Relatives
from jobs.dbaccess.load import ledger, staging, statistics
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.direct import Direct, Marker
from jobs.dbaccess.load.move import difference, overwrite, slices, upsert
from jobs.dbaccess.load.move.merge import Merge
from jobs.dbaccess.load.move.modes import TRUNCATE, Move
from jobs.dbaccess.load.move.upsert import Upsert
from jobs.dbaccess.load.move.versions import VERSIONS, Versions
from jobs.dbaccess.load.partitions import attempts, new
from jobs.dbaccess.load.partitions.missing.key import Wanted
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.sql import TableName

PREPARE, COPY, PUBLISH, ANALYZE = PHASES = ("prepare", "copy", "publish", "analyze")


@dataclass(frozen=True)
class Lock:
    """A lock that a step takes until its transaction ends.

    Attributes:
        on: The table, or what else is locked.
        mode: As LOCK TABLE writes it.
        waits: Who waits for it.
    """

    on: str
    mode: str
    waits: str


@dataclass(frozen=True)
class Step:
    """A statement of a load.

    Attributes:
        phase: One of PHASES. The steps of publish are one transaction.
        statement: SQL with a %s for each value.
        condition: When it is executed; empty for always.
    """

    phase: str
    statement: str
    values: tuple[str, ...] = ()
    locks: tuple[Lock, ...] = ()
    condition: str = ""


@dataclass(frozen=True)
class Known:
    """What the catalog says about a load's tables.

    Attributes:
        markers: The marker table's full name.
        creates_markers: The statement that creates it; empty if it exists.
        types: The types of the columns of a new table; empty if the table exists.
        is_logged: Whether staging is logged: then it becomes the table that the load creates.
        is_partitioned: Whether the table is partitioned.
        at_once: Whether overwrite is one statement.
        in_slices: Whether rows are appended by several statements.
        raising: The statements that raise settings before indexes are built.
        merges: Whether an upsert is done by several statements.
        marks_by_time: Whether the column of --soft-delete stores a time.
        time_type: In a history, the type of the times from which versions are valid.
        equalities: For each key column, the operator by which the table's unique index compares it.
        default: The DEFAULT partition of the table, if it has one.
    """

    markers: TableName
    creates_markers: str = ""
    types: tuple[str, ...] = ()
    is_logged: bool = False
    is_partitioned: bool = False
    at_once: bool = False
    merges: bool = False
    marks_by_time: bool = False
    time_type: str = "pg_catalog.timestamptz"
    equalities: Mapping[str, str] = field(default_factory=dict)
    in_slices: bool = False
    raising: tuple[str, ...] = ()
    relatives: Relatives = field(default_factory=Relatives)
    default: TableName | None = None


def outline(plan: PublishPlan, known: Known) -> list[Step]:
    """Return the steps of a load by staging.

    Args:
        plan: What is to be published. Its receipts are not needed.
        known: What the catalog says.
    """
    beside = None if plan.is_new else plan.target
    steps = [Step(PREPARE, known.creates_markers)] if known.creates_markers else []
    steps += [
        Step(PREPARE, statement)
        for statement in staging.creating(plan.staging, beside, known.types, logged=known.is_logged)
    ]
    steps.append(Step(COPY, plan.staging.copy_statement))
    return [*steps, *_publishing(plan, known), _analyzing(plan, known)]


def outline_of_one_part(plan: PublishPlan, known: Known) -> list[Step]:
    """Return the steps of a load whose only part is copied straight into the table. Its copy is one transaction."""
    straight = Direct(plan.target, plan.staging, Marker(plan.ledger, plan.load_id, plan.target))
    return [
        *([Step(PREPARE, known.creates_markers)] if known.creates_markers else []),
        Step(PREPARE, staging.creating_parts(plan.staging, logged=False)),
        Step(COPY, straight.copy_statement, locks=_written(plan, known)),
        _recording(plan, known, COPY),
        Step(PUBLISH, staging.dropping(plan.staging)),
        _analyzing(plan, known),
    ]


def _recording(plan: PublishPlan, known: Known, phase: str) -> Step:
    marked = _on(str(known.markers), table_locks.ROW_EXCLUSIVE)
    return Step(phase, ledger.recording(known.markers.quoted), (plan.load_id, str(plan.target)), (marked,))


def _analyzing(plan: PublishPlan, known: Known) -> Step:
    is_new = plan.move.replaces_all or plan.is_new or plan.alterations.widened
    condition = "" if is_new else f"if {statistics.SHARE:.0%} of the rows changed"
    analyzed = (_lock(plan, known, table_locks.SHARE_UPDATE_EXCLUSIVE),)
    return Step(ANALYZE, statistics.analyzing(plan.target), locks=analyzed, condition=condition)


def _publishing(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps of the publishing transaction."""
    yield _recording(plan, known, PUBLISH)
    yield Step(PUBLISH, staging.locking(plan.staging))
    if plan.takes_turns:
        lock = locks.publish(plan.target)
        turn = Lock(f"publishing into {plan.target}", "advisory", "other loads of the table, except appends")
        yield Step(PUBLISH, locks.WAIT_IN_TRANSACTION, (lock.name,), (turn,))
    if not plan.is_new:
        yield from _altering(plan, known)
        for statement in columns.addition(plan.target, plan.metadata):
            yield Step(PUBLISH, statement, locks=(_lock(plan, known, table_locks.ACCESS_EXCLUSIVE),))
        if _locks(plan, known) and plan.scripts.before:
            yield _locking(plan, known)
    yield from _script(plan.scripts.before)
    if plan.is_new and plan.builds_indexes:
        yield from (Step(PUBLISH, statement) for statement in known.raising)
    yield from _renaming(plan) if plan.is_new and known.is_logged else _moving(plan, known)
    for text in plan.indexes:
        yield Step(PUBLISH, indexes.creating(plan.target, text))
    if plan.staging.rejects is not None:
        yield Step(PUBLISH, rejects.creating(plan.target), condition="if rows were put aside, which are then inserted")
    yield Step(PUBLISH, staging.dropping(plan.staging))
    yield from _script(plan.scripts.after)


def _altering(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that change columns of the table for the data."""
    if plan.alterations:
        kept_out = _on(str(plan.target), table_locks.SHARE_UPDATE_EXCLUSIVE)
        yield Step(PUBLISH, attempts.keeping_changes_out([plan.target]), locks=(kept_out,))
    lock = _lock(plan, known, table_locks.ACCESS_EXCLUSIVE)
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


def _renaming(plan: PublishPlan) -> Iterator[Step]:
    for statement in staging.renaming(plan.staging, plan.target):
        yield Step(PUBLISH, statement)
    for statement in plan.shape.altering(plan.target):
        yield Step(PUBLISH, statement)
    if plan.move.keys:
        yield Step(PUBLISH, columns.adding_key(plan.target, plan.move.keys))


def _moving(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that make staged rows rows of the table, which may be new."""
    target, staged, move = plan.target, plan.staging.rows, plan.move
    if plan.is_new:
        yield from _creating(plan)
    yield from _supplying(plan, known)
    if _locks(plan, known):
        yield _locking(plan, known)
    written = _written(plan, known)
    if move.strategy == "diff":
        by_keys = Upsert(difference.upserting(move), target, staged, known.equalities)
        yield Step(PUBLISH, by_keys.delete_missing(), locks=written)
        skips = bool(move.values)
        yield Step(PUBLISH, by_keys.writing(skips=skips, is_partitioned=known.is_partitioned), locks=written)
    elif move.mode == "overwrite":
        for statement in overwrite.replacing(move, target, staged, at_once=known.at_once):
            truncates = move.strategy == TRUNCATE and not plan.is_new and statement == overwrite.deleting(move, target)
            taken = (_lock(plan, known, table_locks.ACCESS_EXCLUSIVE),) if truncates else written
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


def _locks(plan: PublishPlan, known: Known) -> bool:
    """Return whether the table is locked against other writers."""
    return plan.move.mode == "overwrite" or plan.move.keeps_history or known.merges


def _supplying(plan: PublishPlan, known: Known) -> Iterator[Step]:
    """Yield the steps that create partitions. Their names and bounds depend on the rows, unless they are by hash."""
    by = plan.shape.partition_by
    if by is None and not plan.move.supplies_partitions:
        return
    bounds = by.bounds if by else ()
    wanted = new.numbered(plan.target, bounds) or [Wanted(plan.target.sibling("PARTITION"), "FOR VALUES ...")]
    condition = "" if bounds else "for each partition that rows lack"
    if known.default is not None:
        condition += ", in a transaction before this one"
    attached = () if plan.is_new else tuple(_attached(plan, known))
    for one, attaching in zip(wanted, new.attaching(plan.target, wanted)):
        yield Step(PUBLISH, new.creating(plan.target, one), condition=condition)
        yield Step(PUBLISH, attaching, locks=attached, condition=condition)


def _attached(plan: PublishPlan, known: Known) -> Iterator[Lock]:
    """Yield the locks of attaching a partition."""
    yield _on(str(plan.target), table_locks.SHARE_UPDATE_EXCLUSIVE)
    if known.default is not None:
        yield _on(str(known.default), table_locks.ACCESS_EXCLUSIVE)
    for table in known.relatives.referenced:
        yield _on(str(table), table_locks.SHARE_ROW_EXCLUSIVE)


def _creating(plan: PublishPlan) -> Iterator[Step]:
    yield from _creating_table(plan)
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
    for text in plan.move.first_indexes:
        yield Step(PUBLISH, indexes.creating(plan.target, text))


def _upserting(plan: PublishPlan, known: Known, written: tuple[Lock, ...]) -> Iterator[Step]:
    """Yield the step of an upsert. If a sample decides, these are two, of which one is executed."""
    statements = Upsert(plan.move, plan.target, plan.staging.rows, known.equalities)
    at_least = f"{upsert.WORTHWHILE:.0%} of a sample of the rows are unchanged"
    for skips, condition in _choices(plan.move, at_least):
        statement = statements.writing(skips=skips, is_partitioned=known.is_partitioned)
        yield Step(PUBLISH, statement, locks=written, condition=condition)


def _choices(move: Move, at_least: str) -> list[tuple[bool, str]]:
    """Return whether unchanged rows are skipped, and when."""
    if move.skip_unchanged == "no" or not move.values:
        return [(False, "")]
    return [(True, "")] if move.skip_unchanged == "yes" else [(True, f"if {at_least}"), (False, f"unless {at_least}")]


def _locking(plan: PublishPlan, known: Known) -> Step:
    taken = () if plan.is_new else (_lock(plan, known, table_locks.SHARE_ROW_EXCLUSIVE),)
    return Step(PUBLISH, table_locks.keeping_writers_out(plan.target), locks=taken)


def _written(plan: PublishPlan, known: Known) -> tuple[Lock, ...]:
    """Return the locks of writing to the table. Foreign keys are checked by locking rows of the other table.

    Nobody else sees a table that the transaction creates.
    """
    if plan.is_new:
        return ()
    deletes = plan.move.mode == "overwrite" or plan.move.changes.removes or plan.move.keeps_history
    others = [*known.relatives.referenced, *(known.relatives.referencing if deletes else ())]
    return (
        _lock(plan, known, table_locks.ROW_EXCLUSIVE),
        *(_on(str(table), table_locks.ROW_SHARE) for table in dict.fromkeys(others)),
    )


def _lock(plan: PublishPlan, known: Known, mode: str) -> Lock:
    """Return a lock on the target."""
    children = known.relatives.children
    what = "partitions" if known.is_partitioned else "child tables"
    return _on(f"{plan.target} and its {what} ({children})" if children else str(plan.target), mode)


def _on(name: str, mode: str) -> Lock:
    return Lock(name, mode, table_locks.KEEPS_OUT[mode])
