"""Staged loads that can be resumed: if one fails, its staging stays, and a rerun copies only what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from jobs.dbaccess.errors import JobError, plural
from jobs.dbaccess.load import staging
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.claims import Size
from jobs.dbaccess.load.copying.parts import reading, tally
from jobs.dbaccess.load.copying.receipts import PartFailed
from jobs.dbaccess.load.kept.notes import Note, until, what_stays
from jobs.dbaccess.load.kept.take_over import Kept, take_over
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.flows.load.publish import Driver
from jobs.flows.load.stage import Encoded, RowsMayDiffer
from jobs.flows.load.targets.target import Target
from jobs.spark.plans.fingerprint import fingerprint, short_hash

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resumable:
    """A load whose staging is there, empty or with what an earlier run has staged.

    Attributes:
        plan: What to publish, from this staging.
        note: What the comment on its tables says.
        before: What an earlier run has staged.
    """

    plan: PublishPlan
    note: Note
    before: Kept

    @property
    def missing(self) -> list[int]:
        """The numbers of the parts that are to be copied."""
        there = {receipt.part for receipt in self.before.receipts}
        return [part for part in range(self.note.parts) if part not in there]

    def counted(self, published: Published) -> Published:
        """Return what was published, with the bytes that this run has copied."""
        size = self.before.size
        staged = replace(published.staged, bytes=published.staged.bytes - size.bytes)
        return replace(published, staged=staged, parts_kept=size.parts)


def open_staging(session: Session, plan: PublishPlan, encoded: Encoded, target: Target, seconds: float) -> Resumable:
    """Take over what an earlier run of the load has staged, or else create staging.

    Args:
        session: The session that holds the load id.
        plan: What is to be published, with names for staging.
        encoded: The rows, without their hashes.
        target: Where they go.
        seconds: For how long staging is kept if the load fails.

    Raises:
        UsageError: Another run may compute other parts; or something is kept of another input, or by another role.
        TransientError: A transaction of an earlier run did not end in time.
    """
    inputs = fingerprint(encoded.lines, encoded.blocks, encoded.parts, plan.staging.columns, "--keep-staging")
    verified = "" if target.row is None else repr(target.row)
    inputs = (
        *inputs,
        ("the table, its columns or their types", short_hash(_shape(target))),
        ("--verify", short_hash(verified)),
        *reading(session),
    )
    note = Note(plan.load_id, str(plan.target), encoded.parts, until(session, seconds), dict(inputs))
    names = replace(plan.staging, note=note.text)
    before = take_over(session, names, plan.target, claims.stream(plan.ledger, plan.load_id), note)
    resumable = Resumable(replace(plan, staging=names), note, before)
    if before.receipts:
        logger.info(
            "%s of %d are in staging from an earlier run: %d are missing.",
            *(plural(before.size.parts, "part"), note.parts, len(resumable.missing)),
        )
    else:
        staging.create(session, names, target.name, target.new_types, logged=target.is_staging)
    return resumable


def _shape(target: Target) -> str:
    """Return what the tables of staging depend on, beside the names of the columns."""
    columns = [f"{match.target.name} {match.target.type_name}" for match in target.matches]
    extras = [f"{name} {type_}, in staging only" for name, type_ in target.move.staged_only]
    becomes = target.is_staging or not target.is_new  # a table that exists takes the rows of any staging
    return "\n".join([f"new: {target.is_new}, becomes the table: {becomes}", *columns, *extras])


@contextmanager
def staging_stays(driver: Driver, session: Session, load: Resumable) -> Iterator[None]:
    """If the block raises, leave what it has staged for a rerun, and say so.

    Raises:
        PartFailed: A task recorded why it could not copy. The hint says what stays.
    """
    names = load.plan.staging
    try:
        yield
    except RowsMayDiffer:
        staging.discard(session, names)
        raise
    except BaseException as error:
        there = _leave(driver, session, names)
        if not there.parts:
            raise
        told = f"Nothing was loaded. {what_stays(load.note, there)}"
        if isinstance(error, PartFailed):
            raise PartFailed(error.message, told, error.refused) from None
        logger.warning("%s", told)
        raise


def _leave(driver: Driver, session: Session, names: Staging) -> Size:
    """End the attempts that still run, and return what is staged. Drop the tables if that is nothing."""
    with suppress(JobError), driver.usable(session) as usable:
        if staging.exists(usable, names):
            staging.end_writers(usable, names)
            staged = tally(usable, names)
            if staged.parts:
                return Size(staged.parts, staged.rows, staged.bytes)
            staging.discard(usable, names)
    return Size()
