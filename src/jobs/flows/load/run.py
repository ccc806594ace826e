"""Load a DataFrame into a PostgreSQL table: prepare, copy, publish; all of it or none, and once for a load id."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from pyspark.sql import DataFrame

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.direct import ONE_PART, PARTS, STAGED
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.listing import give_up
from jobs.dbaccess.load.marker_targets import naming
from jobs.dbaccess.load.publish_plan import Published
from jobs.dbaccess.load.rejects.table import rejects_table
from jobs.dbaccess.session import Session
from jobs.flows.load import ways
from jobs.flows.load.bad_rows.rejected import read_rejects
from jobs.flows.load.direct.one_part import why_staged
from jobs.flows.load.job import Begun, LoadJob
from jobs.flows.load.pace.governor import governors
from jobs.flows.load.prepare import created_first, prepared, settle, take_load_id, to_verify
from jobs.flows.load.publish import Driver, analyze
from jobs.flows.load.targets.target import Target
from jobs.flows.load.ways import Prepared
from jobs.flows.report import LoadedColumn, LoadReport, Stopwatch

logger = logging.getLogger(__name__)


def run(job: LoadJob, read: Callable[[], DataFrame]) -> LoadReport:
    """Do the load. The input is not read if a load of this id has finished.

    Args:
        job: The load.
        read: A function that returns the rows.
    """
    watch = Stopwatch()
    job.check()
    driver = Driver(job.connector)
    with driver.connect() as session:
        with watch.phase("prepare"):
            job.ledger.ensure(session)
            job = replace(job, table=tables.full_name(session, job.table), ledger=job.ledger.located(session))
            stream = claims.stream(job.ledger, job.load_id)
            if take_load_id(session, job):
                give_up(session, job.table, stream, "the load is recorded")
                return _already_loaded(job, watch)
            if job.publish != PARTS:
                claims.check_none(session, job.ledger, job.load_id, job.table)
            if job.keep_staging is None:
                give_up(session, job.table, stream, "this run has no --keep-staging")
            leftovers.sweep(session)
            job.limits.check_visible(session)
            begun = Begun(job, read, "") if job.follows is None else job.follows.begin(session, job)
            if begun.read is None:
                return _nothing_new(session, begun, watch)
            job = begun.job
            table, df, target = settle(session, job, begun.read)
            table, target = created_first(session, job, df, table, target)
            target = to_verify(session, job, table, target)
        with governors(job.limits, job.connector) as next_governor:
            load = prepared(job, driver, session, df, target, watch=watch, next_governor=next_governor)
            with watch.phase("prepare"):
                way = _way(load, job, table)
            published = _load(load, way, job.keep_staging)
        if published is None:
            return _already_loaded(job, watch)
        with watch.phase("analyze"):
            analyze(driver, session, target.name, job.move, published)
    return replace(report_of(job, target, published, watch), publish=way, source_state=begun.state)


def _way(load: Prepared, job: LoadJob, table: Table | None) -> str:
    """Return the way in which the rows come into the table, one of WAYS."""
    if job.publish == PARTS:
        return PARTS
    reason = job.reason_to_stage or why_staged(load.session, load.plan, table, load.encoded)
    logger.debug("The rows are staged: %s.", reason)
    return STAGED if reason else ONE_PART


def _load(load: Prepared, way: str, keep: float | None) -> Published | None:
    if way == PARTS:
        return ways.parts(load)
    if keep is not None:
        return ways.resumed(load, keep)
    return ways.one_part(load) if way == ONE_PART else ways.staged(load)


def _already_loaded(job: LoadJob, watch: Stopwatch) -> LoadReport:
    return LoadReport(job.load_id, str(job.table), job.move.mode, already_loaded=True, seconds=watch.seconds())


def _nothing_new(session: Session, begun: Begun, watch: Stopwatch) -> LoadReport:
    """Record a load that has nothing to do.

    Raises:
        UsageError: The load id is taken by something else.
    """
    job = begun.job
    with session.transaction():
        if not job.ledger.record(session, job.load_id, naming([job.table])):
            job.ledger.check_recorded(session, job.load_id, job.table)
    named = (job.load_id, str(job.table), job.move.mode)
    return LoadReport(*named, nothing_new=True, source_state=begun.state, seconds=watch.seconds())


def report_of(job: LoadJob, target: Target, published: Published, watch: Stopwatch) -> LoadReport:
    """Return the report of a load that was published."""
    staged = published.staged
    report = LoadReport(
        job.load_id,
        str(target.name),
        job.move.mode,
        rows_read=staged.rows + published.rejected,
        rows_staged=staged.rows,
        rows_inserted=published.inserted,
        rows_updated=published.updated,
        rows_unchanged=published.unchanged,
        rows_ignored=published.ignored,
        rows_deleted=None if published.replaced else published.deleted,
        rows_rejected=published.rejected,
        rejects_table=str(rejects_table(target.name)) if published.rejected else "",
        bytes_copied=staged.bytes,
        parts_kept=published.parts_kept,
        parts=staged.parts,
        attempts_discarded=staged.discarded,
        seconds=watch.seconds(),
        partitions_replaced=tuple(str(name) for name in published.replaced),
        partitions_created=tuple(str(name) for name in published.created),
        columns_added=published.columns_added,
        columns_widened=published.columns_widened,
        verified=published.verified,
        before_sql=published.ran.before,
        after_sql=published.ran.after,
        columns=tuple(
            LoadedColumn(match.source, match.spark_type.simpleString(), match.target.name, match.target.type_name)
            for match in target.loaded
        ),
    )
    if not job.policy.quarantines:
        return report
    rejected_by = job.load_id if job.replayed is None else job.replayed.load_id
    read_again = partial(read_rejects, job.connector, target.name, rejected_by)
    return replace(report, rejected_by=rejected_by, read_rejects=read_again)
