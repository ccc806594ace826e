"""Load several tables under one load id, and publish them by one transaction: all of them or none.

Each table is staged as by a load of its own, one after the other. Nothing of a table is visible until all are staged.
The first that fails ends the release, which drops what it has staged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.direct import STAGED
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.listing import give_up
from jobs.dbaccess.load.ledger import check_id
from jobs.dbaccess.load.move.modes import DELETE
from jobs.dbaccess.load.publish import AlreadyRecorded
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.load.together.arrange import Arrangement
from jobs.dbaccess.load.together.foreign_keys import find_arrangement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.files import Rows
from jobs.flows.load.job import LoadJob
from jobs.flows.load.pace.governor import governors
from jobs.flows.load.prepare import settle, take_load_id, to_verify
from jobs.flows.load.publish import Driver, analyze, publish_together_once
from jobs.flows.load.run import report_of
from jobs.flows.load.together.composable import check_composable
from jobs.flows.load.together.report import ReleaseReport
from jobs.flows.load.together.stages import Settled, Staged, Stages, named
from jobs.flows.report import LoadReport, Stopwatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Member:
    """A table of a release.

    Attributes:
        job: The load.
        read: Returns the rows.
    """

    job: LoadJob
    read: Callable[[], Rows]


@dataclass(frozen=True)
class Release:
    """Tables to load together.

    Attributes:
        members: The tables. Their loads have the same settings, load id, ledger, limits and lock timeout.
    """

    members: tuple[Member, ...]

    @property
    def first(self) -> LoadJob:
        """The first load, for what is the same in all."""
        return self.members[0].job

    @property
    def jobs(self) -> tuple[LoadJob, ...]:
        """The loads."""
        return tuple(member.job for member in self.members)

    @property
    def tables(self) -> tuple[TableName, ...]:
        """The tables."""
        return tuple(job.table for job in self.jobs)

    def check(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: There is no table; or an argument is wrong, does not fit the others, or goes with no release.
        """
        if not self.members:
            raise UsageError("The release has no tables.", "Name at least one.")
        check_id(self.first.load_id)
        self.first.limits.check()
        for job in self.jobs:
            with named(job.table):
                check_composable(job)
                job.check()

    def located(self, session: Session) -> Release:
        """Return the release with the full names of its tables and of its ledger, which exists then."""
        self.first.ledger.ensure(session)
        ledger = self.first.ledger.located(session)
        return self._with([replace(job, ledger=ledger) for job in self.named_in_full(session).jobs])

    def named_in_full(self, session: Session) -> Release:
        """Return the release with the full names of its tables."""
        return self._with([replace(job, table=tables.full_name(session, job.table)) for job in self.jobs])

    def _with(self, jobs: Iterable[LoadJob]) -> Release:
        members = (replace(member, job=replace(job, publish=STAGED)) for member, job in zip(self.members, jobs))
        return Release(tuple(members))

    def arrangement(self, session: Session) -> Arrangement:
        """Return the order in which its tables, which have their full names, are written.

        Raises:
            UsageError: They cannot be published together.
        """
        replaced = [job.table for job in self.jobs if job.move.replaces_all and job.move.strategy == DELETE]
        quarantining = [job.table for job in self.jobs if job.policy.quarantines]
        creatable = [job.table for job in self.jobs if job.create]
        return find_arrangement(session, self.tables, replaced, quarantining, creatable)

    def arranged(self, arrangement: Arrangement) -> Release:
        """Return the release with its tables in the order in which they are published."""
        by_name = {member.job.table: member for member in self.members}
        members = []
        for table in arrangement.tables:
            member = by_name[table]
            # A staged table has rows that are committed: who reads in an older snapshot would see them in a new table.
            moved = replace(member.job.move, emptied=arrangement.empty_at(table), renames=len(self.members) == 1)
            members.append(replace(member, job=replace(member.job, move=moved)))
        return Release(tuple(members))


def run(release: Release) -> ReleaseReport:
    """Do the release. No input is read if a release of this id has finished.

    Raises:
        UsageError: The data does not fit a table, or the arguments are invalid. Nothing was copied.
        JobError: The release failed. Nothing of it is in any table.
    """
    watch = Stopwatch()
    release.check()
    first = release.first
    driver = Driver(first.connector)
    with driver.connect() as session:
        with watch.phase("prepare"):
            release = release.located(session)
            if _is_done(session, release):
                return _already_loaded(release, watch)
            first.limits.check_visible(session)
            arrangement = release.arrangement(session)
            release = release.arranged(arrangement)
            settled = [_settle(session, member) for member in release.members]
        stages = Stages(release.tables, driver, session, watch)
        published = _published(stages, settled, arrangement)
        if published is None:
            return _already_loaded(release, watch)
        with watch.phase("analyze"):
            for one, of_table in zip(settled, published):
                analyze(driver, stages.session, one.target.name, one.job.move, of_table)
    reports = tuple(_report(*one) for one in zip(settled, stages.staged, published))
    return ReleaseReport(first.load_id, reports, seconds=watch.seconds())


def _published(stages: Stages, settled: Sequence[Settled], arrangement: Arrangement) -> tuple[Published, ...] | None:
    """Copy the rows of all tables, and publish them. Return None if another run has published the release.

    Raises:
        JobError: The release failed.
    """
    first = settled[0].job
    try:
        with governors(first.limits, first.connector) as next_governor, stages.until_published:
            with stages.watch.phase("copy"):
                for one in settled:
                    stages.add(one, next_governor)
            transaction = replace(stages.transaction, emptied=arrangement.emptied, deferred=arrangement.deferred)
            logger.info("Publishing %s in one transaction.", ", ".join(map(str, transaction.targets)))
            with stages.watch.phase("publish"):
                return publish_together_once(stages.driver, stages.session, transaction)
    except AlreadyRecorded:
        return None


def _is_done(session: Session, release: Release) -> bool:
    """Lock the load id. Return whether a release of this id has finished. Clear away what earlier runs have left.

    Raises:
        UsageError: The id is taken by something else, or parts of a load of this id are in one of the tables.
    """
    first, *others = release.jobs
    stream = claims.stream(first.ledger, first.load_id)
    is_done = take_load_id(session, first, *(job.table for job in others))
    for job in release.jobs:
        if not is_done:
            claims.check_none(session, job.ledger, job.load_id, job.table)
        give_up(session, job.table, stream, "the load is recorded" if is_done else "a release keeps none")
    if not is_done:
        leftovers.sweep(session)
    return is_done


def _settle(session: Session, member: Member) -> Settled:
    job = member.job
    logger.info("Reading the rows for %s.", job.table)
    with named(job.table):
        rows = member.read()
        table, df, target = settle(session, job, lambda: rows.df)
        return Settled(job, replace(rows, df=df), to_verify(session, job, table, target))


def _already_loaded(release: Release, watch: Stopwatch) -> ReleaseReport:
    reports = (LoadReport(job.load_id, str(job.table), job.move.mode, already_loaded=True) for job in release.jobs)
    return ReleaseReport(release.first.load_id, tuple(reports), already_loaded=True, seconds=watch.seconds())


def _report(one: Settled, staged: Staged, published: Published) -> LoadReport:
    report = report_of(one.job, one.target, published, Stopwatch())
    return replace(
        report, seconds=dict(staged.seconds), records_malformed=one.rows.malformed, source_table=one.rows.table
    )
