"""The ways in which a load's rows come into its table, when all is prepared.

- staged: tasks copy into staging, and one transaction of the driver publishes the rows. Every load can do this.
- resumed: the same, but staging stays when the load fails, and a rerun completes it (`resume`).
- one part: the only task copies its rows into the table, in one transaction with the marker (`one_part`).
- parts: each task copies its part into the table, in one transaction with its claim (`direct_parts`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame

from jobs.dbaccess.errors import ConstraintViolated, LoadError, plural
from jobs.dbaccess.load.copying.direct import Direct
from jobs.dbaccess.load.copying.receipts import Receipt
from jobs.dbaccess.load.move import overwrite
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects.places import PlacesWanted
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import quote_name
from jobs.flows.load.bad_rows import located
from jobs.flows.load.bad_rows.explained import Source, failures_explained
from jobs.flows.load.bad_rows.rejected import with_files
from jobs.flows.load.bad_rows.storable import lacking_of
from jobs.flows.load.direct.direct_parts import find_parts, load_parts
from jobs.flows.load.direct.one_part import load_one_part
from jobs.flows.load.pace.governor import Governor
from jobs.flows.load.publish import Driver, publish_once, staging_tables
from jobs.flows.load.resume import open_staging, staging_stays
from jobs.flows.load.stage import Copying, Encoded, RowsMayDiffer, copy, encode
from jobs.flows.load.targets.target import Target
from jobs.flows.report import Stopwatch
from jobs.spark.plans.listed_files import overwritten
from jobs.spark.tasks.load_tasks import Delivery

FRESH_STARTS = 2
"""How often a load starts over because Spark computed a shuffle again while parts were copied from it."""

logger = logging.getLogger(__name__)

PlanAgain = Callable[[], tuple[PublishPlan, Encoded]]
"""Returns a plan with other names for staging, and the rows, encoded anew."""


@dataclass(frozen=True)
class Prepared:
    """A load whose rows are encoded, and whose target is known.

    Attributes:
        plan: What to publish, with the names of staging tables that do not exist yet.
        plan_again: Called to start over.
        next_governor: Returns what keeps the pace of the next step, if it is limited.
        show_values: Whether errors may show values of rows.
    """

    driver: Driver
    session: Session
    df: DataFrame
    target: Target
    plan: PublishPlan
    encoded: Encoded
    plan_again: PlanAgain
    copying: Copying
    watch: Stopwatch
    next_governor: Callable[[], Governor | None]
    show_values: bool = False

    @property
    def source(self) -> Source:
        """Where its rows come from."""
        return Source(self.df, self.target, self.copying, self.encoded, self._lacking, show_values=self.show_values)

    def _lacking(self, df: DataFrame) -> str:
        with self.driver.usable(self.session) as usable:
            return lacking_of(usable, df)

    def copy(self, direct: Direct | None = None, only: Sequence[int] | None = None) -> tuple[Receipt, ...]:
        """Copy the rows, or only some parts, into staging or straight into the table. Raises as `stage.copy`."""
        delivery = Delivery(self.driver.connector, self.plan.staging, direct, self.plan.rejecting.policy)
        return copy(
            self.session,
            self.encoded,
            self.target,
            delivery=delivery,
            how=self.copying,
            watch=self.watch,
            only=only,
            gate=self.next_governor(),
        )

    def copy_and_check(self, direct: Direct | None = None, only: Sequence[int] | None = None) -> tuple[Receipt, ...]:
        """Copy, and check that all parts have read the same files.

        Raises:
            LoadError: A file was overwritten meanwhile, or a part failed.
        """
        receipts = self.copy(direct, only)
        files = overwritten(self.encoded.lines)
        if files:
            raise LoadError(
                f"{plural(len(files), 'file')} changed while the load ran, such as {files[0]}: rows may be missing, or "
                "come from both contents.",
                "Run it again when the files are complete. Write files under another name, and rename them afterwards.",
            )
        return receipts


def one_part(load: Prepared) -> Published | None:
    """Load one part by a transaction of its task. Return None if another run has recorded this load id."""
    logger.info("The load is one small part: it is copied straight into %s, in one transaction.", load.target.name)
    with failures_explained(load.source):
        return load_one_part(load.driver, load.session, load.plan, load.copy, load.watch)


def parts(load: Prepared) -> Published | None:
    """Load each part by a transaction of its task. Return None if another run has recorded this load id."""
    with load.watch.phase("prepare"):
        found = find_parts(load.session, load.plan, load.encoded)
    if found is None:
        return None
    with failures_explained(load.source):
        return load_parts(load.driver, load.session, load.plan, found, load.copy_and_check, watch=load.watch)


def resumed(load: Prepared, seconds: float) -> Published | None:
    """Copy into staging what an earlier run has not, and publish. If that fails, staging is kept for so many seconds.

    Returns:
        What was published, or None if another run has published this load id.
    """
    with load.watch.phase("prepare"):
        found = open_staging(load.session, load.plan, _without_hashes(load), load.target, seconds)
    load = replace(load, plan=found.plan)
    with failures_explained(load.source), staging_stays(load.driver, load.session, found):
        _check_condition(load)
        copied = load.copy_and_check(only=found.missing) if found.missing else ()
        published = _published(load, (*found.before.receipts, *copied))
    return None if published is None else found.counted(published)


def staged(load: Prepared) -> Published | None:
    """Copy into staging and publish.

    Returns:
        What was published, or None if another run has published this load id.
    """
    with ExitStack() as until_published:
        load, receipts = stage(load, until_published)
        with failures_explained(load.source):
            return _published(load, receipts)


def stage(load: Prepared, stack: ExitStack) -> tuple[Prepared, tuple[Receipt, ...]]:
    """Copy into staging. Start over in a new one if parts need not fit together.

    Args:
        load: The load.
        stack: If it ends by an error, it drops staging.

    Returns:
        The load, with the plan of the staging that holds the rows, and the receipts of its parts.
    """
    for starts_left in reversed(range(FRESH_STARTS + 1)):
        try:
            with ExitStack() as start:
                start.enter_context(staging_tables(load.driver, load.session, load.plan.staging, load.target))
                _check_condition(load)
                receipts = load.copy_and_check()
                stack.push(start.pop_all())
                return load, receipts
        except RowsMayDiffer as error:
            if not starts_left:
                raise
            logger.warning("%s Starting over.", error.message)
            plan, encoded = load.plan_again()
            load = replace(load, plan=plan, encoded=encoded)
    raise AssertionError("the last start returns or raises")


def _without_hashes(load: Prepared) -> Encoded:
    """Return the rows without the hashes by which they are verified: these say nothing about which rows they are."""
    if load.target.row is None:
        return load.encoded
    plain = replace(load.target, row=None)
    return encode(load.df, plain, load.copying, load.plan.staging.rows.name, merges=False)


def _check_condition(load: Prepared) -> None:
    """Check the condition of a slice of a new table: staging has its columns."""
    target, rows = load.target, load.plan.staging.rows
    if target.is_new and target.move.where is not None:
        columns = f"{rows.quoted} AS {quote_name(target.name.name)}"
        overwrite.check_where(load.session, target.move.where, columns, target.name)


def _published(load: Prepared, receipts: Sequence[Receipt]) -> Published | None:
    """Publish. If rows violate a constraint, find out where they come from, while no transaction is open."""
    with load.watch.phase("publish"):
        plan = _seeking(load, completed_plan(load, receipts))
        try:
            return publish_once(load.driver, load.session, plan)
        except PlacesWanted as wanted:
            return publish_once(load.driver, load.session, located.with_places(load.source, plan, wanted))
        except ConstraintViolated as error:
            refused = error
            with suppress(Exception), load.driver.usable(load.session) as usable:  # what failed the load is told
                refused = located.told(usable, load.source, plan, error)
            raise refused from None


def _seeking(load: Prepared, plan: PublishPlan) -> PublishPlan:
    """Return the plan of a load that puts rows aside, with how it finds out where they come from."""
    if plan.staging.rejects is None:
        return plan
    with load.driver.usable(load.session) as usable:
        return replace(plan, rejecting=replace(plan.rejecting, seeking=located.seeking(usable, load.source)))


def completed_plan(load: Prepared, receipts: Sequence[Receipt]) -> PublishPlan:
    """Return the plan of a load whose parts are all in staging."""
    plan = replace(load.plan.received(receipts), pace=load.next_governor())
    rejects = plan.staging.rejects
    if rejects is None or not any(receipt.rejected for receipt in receipts):
        return plan
    with load.driver.usable(load.session) as usable:
        return with_files(usable, plan, rejects, load.df)
