"""Foresee a release: the order of its tables, how the data fits each of them, and the locks. Nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from jobs.dbaccess.errors import plural
from jobs.dbaccess.load.dry_run.outline_together import outline_together
from jobs.dbaccess.load.dry_run.steps import PUBLISH, Step
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.publish_plan import TransactionPlan
from jobs.dbaccess.load.together.arrange import Arrangement
from jobs.dbaccess.session import Session
from jobs.flows.load.dry_run.data import Rows
from jobs.flows.load.dry_run.foresee import Foreseen, foreseen
from jobs.flows.load.dry_run.plan import LOCKS, LoadPlan, locks_of, printable, statement_lines, table_lines
from jobs.flows.load.stage import MALFORMED
from jobs.flows.load.together.job import Member, Release
from jobs.flows.load.together.stages import named
from jobs.flows.report import SourceTable
from jobs.spark.null_values import with_nulls


@dataclass(frozen=True)
class ReleasePlan:
    """What a release would do.

    Attributes:
        tables: The plans of the tables, in the order in which rows are moved there.
        emptied: Tables that are emptied before, in this order.
        deferred: The foreign keys that are checked when all rows are moved.
        already_loaded: Whether a release of this id has finished, so that this one would do nothing.
        steps: The statements, in their order.
    """

    load_id: str
    tables: tuple[LoadPlan, ...]
    emptied: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()
    already_loaded: bool = False
    steps: tuple[Step, ...] = ()

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        tables = [{name: value for name, value in asdict(table).items() if name != "steps"} for table in self.tables]
        document = {"dry_run": True, **asdict(self), "tables": tables, "locks": self.locks()}
        return json.dumps(document, indent=2) + "\n"

    def summary(self) -> str:
        """Return the plan as a text of several lines."""
        return "\n".join(map(printable, self._lines()))

    def _lines(self) -> Iterator[str]:
        if self.already_loaded:
            yield f"already loaded: the release {self.load_id!r} has finished, and another one does nothing"
            return
        count = plural(len(self.tables), "table")
        yield f"plan: a release of {count} in one transaction, load id {self.load_id!r}. Nothing was loaded."
        if self.emptied:
            yield f"emptied first: {', '.join(self.emptied)}"
        if self.deferred:
            yield f"foreign keys that are checked at the end: {', '.join(self.deferred)}"
        for number, table in enumerate(self.tables, 1):
            yield ""
            new = ", which it creates" if table.is_new else ""
            yield f"{number}. {table.what}{new}, {plural(table.parts, 'part')}"
            yield from table.source_lines()
            yield from table.column_lines()
            yield from filter(None, [table.limit])
        yield ""
        yield from statement_lines(self.steps, PUBLISH)
        yield ""
        yield from table_lines(LOCKS, self.locks())

    def locks(self) -> list[tuple[str, str, str, str]]:
        """Return the locks, each of them once: what is locked, the mode, until when, and who waits."""
        return locks_of(self.steps)


def plan(release: Release) -> ReleasePlan:
    """Return the plan of a release.

    Raises:
        UsageError: The data does not fit a table, or an argument is wrong: the release would fail likewise.
        LoadError: A table does not suit the mode, or the user lacks privileges.
    """
    release.check()
    with release.first.connector.open() as session:
        release = release.named_in_full(session)
        arrangement = release.arrangement(session)
        release = release.arranged(arrangement)
        if _is_done(session, release):
            return ReleasePlan(release.first.load_id, (), already_loaded=True)
        return _plan(session, release, arrangement)


def _is_done(session: Session, release: Release) -> bool:
    """Return whether a release of this id has finished.

    Raises:
        UsageError: The id is taken by something else.
    """
    markers, creation = release.first.ledger.place(session)
    return not creation and Ledger(markers).is_recorded(session, release.first.load_id, *release.tables)


def _plan(session: Session, release: Release, arrangement: Arrangement) -> ReleasePlan:
    tables = [_foreseen(session, member, f"TOKEN_{number}") for number, member in enumerate(release.members, 1)]
    bases = [table.basis for table in tables if table.basis is not None]
    if len(bases) < len(tables):  # another run has finished it meanwhile
        return ReleasePlan(release.first.load_id, (), already_loaded=True)
    plans = tuple(publishing for publishing, _ in bases)
    transaction = TransactionPlan(plans, arrangement.emptied, arrangement.deferred)
    return ReleasePlan(
        release.first.load_id,
        tuple(replace(table.plan, steps=()) for table in tables),
        tuple(map(str, arrangement.emptied)),
        tuple(key.name for key in arrangement.deferred),
        steps=tuple(outline_together(transaction, [known for _, known in bases])),
    )


def _foreseen(session: Session, member: Member, ending: str) -> Foreseen:
    job = member.job
    read_from: SourceTable | None = None

    def look() -> Rows:
        nonlocal read_from
        rows = member.read()
        read_from = rows.table
        return Rows(with_nulls(rows.df.drop(MALFORMED) if job.policy.quarantines else rows.df, job.null_values))

    with named(job.table):
        found = foreseen(session, job, look, ending)
    return replace(found, plan=replace(found.plan, source_table=read_from))
