"""Foresee a load: read what it depends on from the catalog, as the load does, and return its plan.

Nothing is locked, created or changed. Columns that the user defines, or that an existing table gets, are an exception:
whether the server takes them is known only when a table with them was made, in a transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.capacity import capacity
from jobs.dbaccess.catalog.health import Privilege, privileges, privileges_on_columns, privileges_on_sequences
from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load import staging, verify
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.dry_run.foretell import MOST_KEYS, Keys, foretell, key_columns
from jobs.dbaccess.load.dry_run.outline import outline, outline_of_one_part
from jobs.dbaccess.load.dry_run.steps import Known, Step
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move import deletion
from jobs.dbaccess.load.move.slices import can_slice
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.policy import check_policy
from jobs.dbaccess.session import Session
from jobs.flows.load.dry_run.data import Data, Rows, data_of
from jobs.flows.load.dry_run.fit import Fit, fit
from jobs.flows.load.dry_run.known import known_of
from jobs.flows.load.dry_run.plan import ONE_PART, STAGED, Connections, LoadPlan
from jobs.flows.load.job import LoadJob
from jobs.flows.load.sources import Source
from jobs.flows.load.targets.settle import find_table
from jobs.flows.report import SourceTable


class NotForeseen(UsageError):
    """The steps of a load are known only when it has copied its rows. Nothing is wrong with it."""


def plan(job: LoadJob, source: Source, start_spark: Callable[[], SparkSession]) -> LoadPlan:
    """Return the plan of a load. The arguments are those of the load. Raises as `foresee`."""
    read_from: SourceTable | None = None

    def look() -> Rows:
        nonlocal read_from
        rows = data_of(job, source, start_spark)
        read_from = rows.table
        return rows

    with job.connector.open() as session:
        planned = foresee(session, job, look)
    return replace(planned, source_table=read_from)


@dataclass(frozen=True)
class Foreseen:
    """A load that is planned.

    Attributes:
        plan: What it would do.
        basis: What it would publish, and what the catalog says; None if a load of this id has finished.
    """

    plan: LoadPlan
    basis: tuple[PublishPlan, Known] | None = None


def foresee(session: Session, job: LoadJob, look: Callable[[], Data]) -> LoadPlan:
    """Return the plan of a load. Arguments and errors are as those of `foreseen`."""
    return foreseen(session, job, look).plan


def foreseen(session: Session, job: LoadJob, look: Callable[[], Data], ending: str = "TOKEN") -> Foreseen:
    """Plan a load.

    Args:
        session: A session of the table's database.
        job: The load.
        look: Returns the data. It is not called if a load of this id has finished.
        ending: That of the names of staging.

    Raises:
        UsageError: The data does not fit the table, or an argument is wrong: the load would fail likewise.
        LoadError: The table does not suit the mode, or the user lacks privileges.
    """
    job.check()
    _check_foreseeable(job)
    markers, creates_markers = job.ledger.place(session)
    job = replace(job, table=tables.full_name(session, job.table))
    find_table(session, job.table, job.create)
    check_privileges(privileges(session, job.table, job.move.privileges, markers))
    server = capacity(session)
    connections = Connections(job.copying.parallelism or server.share(), server.free, server.allowed)
    planned = LoadPlan(str(job.table), job.move.mode, job.move.keys, job.load_id, connections)
    if not creates_markers and job.ledger.is_recorded(session, job.load_id, job.table):
        return Foreseen(replace(planned, already_loaded=True))
    claims.check_none(session, Ledger(markers), job.load_id, job.table, ends_earlier_runs=False)
    data = look()
    fitted = fit(session, job, data.schema)
    _check_fitted(session, job, fitted)
    names = staging.foreseen(job.table, fitted.target.columns, fitted.target.not_yet, ending)
    publishing = job.plan(fitted.target, names)
    parts, reason = data.parts(session, job, fitted, publishing)
    is_staged = bool(job.reason_to_stage or reason)
    known = known_of(session, fitted, markers, creates_markers)
    if is_staged and bool(job.limits):
        known = replace(known, in_slices=_in_slices(session, publishing))
    planned = replace(
        planned,
        is_new=fitted.target.is_new,
        columns=fitted.columns,
        unfilled=fitted.unfilled,
        changes=fitted.target.alterations.told(),
        limit="" if fitted.target.is_new else deletion.limit_told(publishing.move),
        parts=parts,
        publish=STAGED if is_staged else ONE_PART,
        connections=replace(connections, at_once=min(parts, connections.at_once)),
        steps=tuple(_steps(session, fitted, data, publishing, known, is_staged=is_staged)),
    )
    return Foreseen(planned, (publishing, known))


def _check_foreseeable(job: LoadJob) -> None:
    if job.publish == PARTS:
        raise NotForeseen(
            "--dry-run cannot list the steps of --publish parts: they depend on which parts are in the table.",
            "docs/large-loads.md describes them.",
        )


def _check_fitted(session: Session, job: LoadJob, fitted: Fit) -> None:
    """Check what depends on which columns of the table the data has.

    Raises:
        LoadError: The user lacks privileges, or the rows cannot be loaded like that.
    """
    if fitted.table is not None:
        check_privileges(privileges_on_sequences(session, job.table, fitted.target.move.columns))
        added = fitted.target.alterations.names_added  # its owner has all privileges on them
        there = [name for name in fitted.target.move.columns if name not in added]
        check_privileges(privileges_on_columns(session, job.table, job.move.privileges, there, job.move.keys))
        if job.verify:
            verify.check_target(session, fitted.table)
    check_policy(job.policy, fitted.target.move, job.publish)
    if job.policy.quarantines:
        rejects.check(session, fitted.target.name)


def _in_slices(session: Session, plan: PublishPlan) -> bool:
    """Return whether the rows of a load whose pace is limited are moved by several statements."""
    return plan.is_new or can_slice(session, plan.move, plan.target)


def _steps(
    session: Session, fitted: Fit, data: Data, plan: PublishPlan, known: Known, *, is_staged: bool
) -> list[Step]:
    if plan.move.replaces_partitions and fitted.table is not None:
        return foretell(session, plan, known, _keys(session, fitted, data))
    if not is_staged:
        return outline_of_one_part(plan, known)
    return outline(plan, known)


def _keys(session: Session, fitted: Fit, data: Data) -> Keys:
    """Return the different partition keys of the data.

    Raises:
        UsageError: The data lacks a column of the key, or has too many keys.
    """
    names = [name for name, _ in key_columns(session, fitted.target.name)]
    if not set(names) <= set(fitted.target.move.columns):
        raise NotForeseen(
            f"--dry-run cannot tell which partitions get rows: the data lacks a column of the key {', '.join(names)}.",
            "docs/partitions.md describes the steps.",
        )
    keys = data.keys(fitted, names)
    if len(keys) > MOST_KEYS:
        raise NotForeseen(
            f"--dry-run cannot tell which partitions get rows: there are more than {MOST_KEYS:,} different values of "
            f"{', '.join(names)}.",
            "docs/partitions.md describes the steps.",
        )
    return keys


def check_privileges(needed: Iterable[Privilege]) -> None:
    """Check that the user has the privileges that the load needs.

    Raises:
        LoadError: Some are missing. The message names them.
    """
    missing = [privilege for privilege in needed if not privilege.granted]
    if missing:
        raise LoadError(
            f"The load would fail. The user lacks {', '.join(privilege.what for privilege in missing)}.",
            f"Have them granted: {'; '.join(f'{privilege.grant} TO ...' for privilege in missing)}.",
        )
