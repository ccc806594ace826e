"""The tables of a release are staged one after the other, and held until all are published."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from jobs.dbaccess.errors import JobError
from jobs.dbaccess.load.copying.receipts import check_none_failed
from jobs.dbaccess.load.publish_plan import PublishPlan, TransactionPlan
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.bad_rows.explained import failures_explained
from jobs.flows.load.files import Rows
from jobs.flows.load.job import LoadJob
from jobs.flows.load.pace.governor import Governor
from jobs.flows.load.prepare import prepared
from jobs.flows.load.publish import Driver, answering, check_still_staged
from jobs.flows.load.targets.target import Target
from jobs.flows.load.ways import Prepared, completed_plan, stage
from jobs.flows.report import Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settled:
    """A table of the release, its rows, and how they fit."""

    job: LoadJob
    rows: Rows
    target: Target


@dataclass(frozen=True)
class Staged:
    """What is staged of a table, and how long that took."""

    plan: PublishPlan
    seconds: Mapping[str, float]


@dataclass
class Stages:
    """Copies the rows of one table after the other into staging.

    Attributes:
        tables: All tables of the release.
        session: The driver's session, which holds all that is staged. Another one takes its place if its connection
            broke while rows were copied.
        until_published: If it ends by an error, staging is dropped.
        staged: What is staged.
    """

    tables: Sequence[TableName]
    driver: Driver
    session: Session
    watch: Stopwatch
    until_published: ExitStack = field(default_factory=ExitStack)
    staged: list[Staged] = field(default_factory=list)

    @property
    def transaction(self) -> TransactionPlan:
        """What one transaction is to publish."""
        return TransactionPlan(tuple(one.plan for one in self.staged))

    def add(self, one: Settled, next_governor: Callable[[], Governor | None]) -> None:
        """Copy the rows of a table.

        Raises:
            AlreadyRecorded: Another run has published the release, while nobody held what it locks.
            JobError: They cannot be copied.
        """
        watch = Stopwatch()
        job, df, target = one.job, one.rows.df, one.target
        with named(target.name):
            load = prepared(job, self.driver, self.session, df, target, watch=watch, next_governor=next_governor)
            logger.info("Copying the rows for %s.", target.name)
            load, receipts = stage(load, self.until_published)
            load = self._held(load)
            with failures_explained(load.source):
                check_none_failed(self.session, load.plan.staging)  # the other tables need not be copied then
            self.staged.append(Staged(completed_plan(load, receipts), watch.seconds()))

    def _held(self, load: Prepared) -> Prepared:
        """Return the load with a session that holds all that is staged. Raises as `check_still_staged`."""
        before, held = self.session, TransactionPlan((*self.transaction.plans, load.plan))
        self.session = self.until_published.enter_context(answering(self.driver, before, held))
        if self.session is not before:
            check_still_staged(self.session, held, self.tables)
        return replace(load, session=self.session)


@contextmanager
def named(table: TableName) -> Iterator[None]:
    """Name the table in the message of an error, unless that does so."""
    try:
        yield
    except JobError as error:
        if str(table) not in error.message:
            error.message = f"{table}: {error.message}"
        raise
