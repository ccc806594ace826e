"""Direct parts: each part of a load is copied straight into the table, with its claim in the same transaction.

All connections work until the end, and nothing is written twice. Each row is there exactly once when the load has
finished, but readers see parts arrive. A failed load leaves the parts that it has copied, and their claims. A rerun of
the load id with the same input copies only the others. The marker is written when all parts are claimed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.publications import tell_subscribers
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import ConnectionFailed, JobError, LoadError, UsageError, plural
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import direct
from jobs.dbaccess.load.copying.claims import Claims, Size, end_earlier_runs, open_claims
from jobs.dbaccess.load.copying.direct import Direct
from jobs.dbaccess.load.copying.parts import Tally, reading, refused_row, tally
from jobs.dbaccess.load.copying.receipts import PartFailed
from jobs.dbaccess.load.definitions import columns
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.session import Session
from jobs.flows.load.direct.one_part import commits_allowed
from jobs.flows.load.publish import RECONNECTIONS, Driver
from jobs.flows.load.stage import Encoded
from jobs.flows.load.targets.target import Target
from jobs.flows.report import Stopwatch
from jobs.spark.plans.fingerprint import fingerprint

logger = logging.getLogger(__name__)


def create_target(session: Session, target: Target) -> None:
    """Create the table, empty, or add the columns that it lacks: rows are to be copied straight into it."""
    with session.transaction():
        if target.is_new:
            columns.create(session, target.name, target.made_of)
        else:
            columns.add_missing(session, target.name, target.metadata)
        for statement in target.shape.altering(target.name):
            session.run(statement)
    if target.is_new:
        tell_subscribers(session, target.name)


def check_table(session: Session, table: Table) -> None:
    """Check that rows can be copied straight into a table.

    Raises:
        UsageError: They cannot. The message says why.
    """
    reason = direct.why_not(session, table)
    if not reason and not tables.survives_crash(session, table.name):
        reason = f"{table.name} is unlogged, or has such partitions, and a crash would empty them, but not the claims"
    if reason:
        raise UsageError(
            f"Parts cannot be copied straight into the table: {reason}.", "Leave out --publish parts: rows are staged."
        )


@dataclass(frozen=True)
class Parts:
    """The parts of a load, and which are there.

    Attributes:
        count: How many there are.
        before: Those that an earlier run has copied, with their sizes.
    """

    claims: Claims
    count: int
    before: Mapping[int, Size]

    @property
    def missing(self) -> list[int]:
        """The numbers of the parts that are to be copied."""
        return [part for part in range(self.count) if part not in self.before]


def find_parts(session: Session, plan: PublishPlan, encoded: Encoded) -> Parts | None:
    """Return the parts of a load, after ending what may be left of its earlier runs.

    Returns:
        The parts, or None if an earlier run has finished the load meanwhile. It deletes the claims in the transaction
        of its marker, so the marker is looked for after they were read.

    Raises:
        UsageError: Another run may compute other parts; an earlier one has copied parts of another input, or into
            another table; or its rows were deleted.
        TransientError: A transaction of an earlier run did not end in time.
    """
    inputs = fingerprint(encoded.lines, encoded.blocks, encoded.parts, plan.staging.columns)
    claims = open_claims(session, plan.ledger, plan.load_id, plan.target, (*inputs, *reading(session)))
    end_earlier_runs(session, plan.ledger, plan.load_id, plan.target, with_kept=True)
    parts = Parts(claims, encoded.parts, claims.parts(session))
    if plan.ledger.is_recorded(session, plan.load_id, plan.target):
        return None
    claims.check_kept(session, parts.before)
    if parts.before:
        logger.info(
            "%s of %d are in %s from an earlier run: %d are missing.",
            *(plural(len(parts.before), "part"), parts.count, plan.target, len(parts.missing)),
        )
    return parts


def load_parts(
    driver: Driver,
    session: Session,
    plan: PublishPlan,
    parts: Parts,
    copy: Callable[[Direct, Sequence[int]], object],
    *,
    watch: Stopwatch,
) -> Published:
    """Copy the parts that are missing, and write the marker.

    Args:
        driver: How to connect again.
        session: The driver's session.
        plan: What to load. Its receipts are not used.
        parts: The parts.
        copy: Copies some parts to a destination, and returns when Spark has accepted an attempt at each.
        watch: Takes the time.

    Raises:
        PartFailed: A task recorded why it could not copy.
        LoadError: Parts are missing.
    """
    try:
        with commits_allowed(driver, session, plan.staging):
            if parts.missing:
                copy(Direct(plan.target, plan.staging, parts.claims, plan.lock_timeout), parts.missing)
            with watch.phase("publish"):
                return _finish(driver, session, plan, parts)
    except Exception as error:
        kept = _kept(driver, session, parts.claims)
        if not kept.parts:
            raise
        there = (
            f"{kept.parts} of {plural(parts.count, 'part')}, with {plural(kept.rows, 'row')}, are in {plan.target}. "
            f"Run it again with the same input and the load id {plan.load_id!r} to copy the rest."
        )
        if isinstance(error, PartFailed):
            raise PartFailed(error.message, there, error.refused) from None
        logger.warning("%s", there)
        raise


def _kept(driver: Driver, session: Session, claims: Claims) -> Size:
    """Return what is in the table of a load that failed; nothing if that cannot be found out."""
    try:
        with driver.usable(session) as usable:
            return _sum(claims.parts(usable).values())
    except JobError:
        return Size()


def _sum(sizes: Iterable[Size]) -> Size:
    every = list(sizes)
    return Size(len(every), sum(size.rows for size in every), sum(size.bytes for size in every))


def _finish(driver: Driver, session: Session, plan: PublishPlan, parts: Parts) -> Published:
    """Write the marker, over another connection if this one has broken or breaks."""
    published = None
    for reconnections_left in reversed(range(RECONNECTIONS + 1)):
        try:
            with driver.usable(session) as usable:
                if published is not None and plan.ledger.is_recorded(usable, plan.load_id, plan.target):
                    return published
                published = _counted(usable, plan, parts)
                _record(usable, plan, parts.claims)
                return published
        except ConnectionFailed as error:
            if not reconnections_left:
                raise
            logger.warning("The connection broke: %s Finishing over another one.", error.message)
    raise AssertionError("the last attempt returns or raises")


def _counted(session: Session, plan: PublishPlan, parts: Parts) -> Published:
    """Return what is in the table.

    Raises:
        PartFailed: A task recorded why it could not copy.
        LoadError: A part is missing.
    """
    claimed = parts.claims.parts(session)
    attempts = tally(session, plan.staging)
    if sorted(claimed) != list(range(parts.count)):
        if attempts.failure is not None:
            raise PartFailed(attempts.failure, "Nothing was loaded.", refused_row(session, plan.staging))
        raise LoadError(f"Spark reported all parts as copied, and {len(claimed)} of {parts.count} are claimed.")
    there, kept = _sum(claimed.values()), _sum(parts.before.values())
    staged = Tally(there.parts, there.rows, there.bytes - kept.bytes, attempts.discarded, None)
    return Published(staged, there.rows, parts_kept=kept.parts)


def _record(session: Session, plan: PublishPlan, claims: Claims) -> None:
    """Write the marker in place of the claims. No attempt of this run can commit after that.

    Raises:
        UsageError: The load id is taken by another table.
        LoadError: The marker table takes no marker.
    """
    with session.transaction(lock_timeout=staging.CLEANUP_LOCK_TIMEOUT):
        staging.end_writers(session, plan.staging)
        staging.drop(session, plan.staging)
        if not plan.ledger.record(session, plan.load_id, str(plan.target)):
            plan.ledger.check_recorded(session, plan.load_id, plan.target)
        claims.delete(session)
