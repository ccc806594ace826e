"""Load a DataFrame into a PostgreSQL table: prepare, copy, publish; all of it or none, and once for a load id."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import claims, staging, verify
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.direct import AUTO, ONE_PART, PARTS, STAGED, check_parts
from jobs.dbaccess.load.kept import leftovers
from jobs.dbaccess.load.kept.listing import give_up
from jobs.dbaccess.load.kept.notes import check_keep
from jobs.dbaccess.load.ledger import LUIGIS, Ledger, check_id
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.modes import APPEND, Move
from jobs.dbaccess.load.partitions import new
from jobs.dbaccess.load.publish_plan import Published, PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.policy import ERROR, FAILS, Policy, check_nul, check_policy
from jobs.dbaccess.load.rejects.table import Rejecting, Replayed, rejects_table
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.scripts import Scripts
from jobs.dbaccess.load.staging import Staging
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load import ways
from jobs.flows.load.bad_rows.rejected import read_rejects
from jobs.flows.load.bad_rows.storable import storable
from jobs.flows.load.defined import NONE_DEFINED, Defined
from jobs.flows.load.direct.direct_parts import check_table, create_target
from jobs.flows.load.direct.one_part import why_staged
from jobs.flows.load.pace.governor import NO_LIMITS, Limits, governors
from jobs.flows.load.publish import Driver, analyze
from jobs.flows.load.stage import MALFORMED, Copying, Encoded, encode
from jobs.flows.load.target import Target, find_table, settle_target
from jobs.flows.load.ways import Prepared
from jobs.flows.report import LoadedColumn, LoadReport, Stopwatch
from jobs.spark.null_values import with_nulls
from jobs.spark.plans.fingerprint import fingerprint
from jobs.spark.row_forms import form_of

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadJob:
    """A load to do.

    Attributes:
        load_id: The permanent name of this load: a second load of the same id does nothing.
        move: How staged rows are moved. Its columns are settled when the data is known.
        create: Whether to create the table if it is missing.
        copying: How rows are copied.
        wait_for_load: The longest time to wait for another run of the load id, in seconds.
        verify: Whether to compare the table's rows with what Spark encoded, before the commit.
        scripts: SQL of the user's own in the publishing transaction.
        ledger: What records the load.
        lock_timeout: The longest time to wait for each lock while rows are published, in seconds; None for what the
            user's settings say.
        defined: The columns that the user defines.
        null_values: Strings of the data that stand for NULL.
        limits: What the load may cause.
        publish: One of PUBLISHING: how the rows come into the table.
        keep_staging: For how many seconds staging stays if the load fails, so that a rerun can go on; None to drop it.
        show_values: Whether errors may show values of rows.
        policy: What to do about rows that the server refuses.
        replayed: The rejects of another load that this one loads, if it does.
        nul: One of ON_NUL: what is done about characters that the server cannot store.
    """

    table: TableName
    settings: Settings
    load_id: str
    move: Move = APPEND
    create: bool = True
    copying: Copying = field(default_factory=Copying)
    wait_for_load: int = locks.LONGEST_WAIT
    verify: bool = False
    scripts: Scripts = field(default_factory=Scripts)
    ledger: Ledger = LUIGIS
    lock_timeout: int | None = None
    defined: Defined = NONE_DEFINED
    null_values: tuple[str, ...] = ()
    limits: Limits = NO_LIMITS
    publish: str = AUTO
    keep_staging: float | None = None
    show_values: bool = False
    policy: Policy = FAILS
    replayed: Replayed | None = None
    nul: str = ERROR

    @property
    def can_be_resumed(self) -> bool:
        """Whether a rerun copies only what a failed run has not. The parts of both have to be the same then."""
        return self.publish == PARTS or self.keep_staging is not None

    @property
    def connector(self) -> Connector:
        """Opens the sessions of the load."""
        return Connector(self.settings, "load", self.load_id)

    @property
    def reason_to_stage(self) -> str:
        """Why its rows are staged, whatever they are; empty if that depends on them."""
        if self.publish == STAGED or self.keep_staging is not None:
            return "the user wants it"
        if self.limits:
            return "its pace is limited"
        if self.policy.quarantines:
            return "bad rows are put aside"
        return "they are verified" if self.verify else ""

    def check(self) -> None:
        """Check what can be checked without a server.

        Raises:
            UsageError: An argument is wrong, or does not fit the others.
        """
        combinations.check(self.move)
        check_id(self.load_id)
        self.defined.check()
        self.limits.check()
        check_nul(self.nul)
        if self.verify:
            combinations.check_verify(self.move)
        check_policy(self.policy, self.move, self.publish, keeps=self.keep_staging is not None)
        if self.publish == PARTS:
            check_parts(self.move, bool(self.scripts), verify=self.verify, schema_mode=self.defined.schema_mode)
        check_keep(self.keep_staging, self.move, self.publish)

    def plan(self, target: Target, names: Staging) -> PublishPlan:
        """Return what is to be published from staging tables of these names."""
        names = names.with_rejects() if self.policy.quarantines else names
        return replace(
            target.plan(self.load_id, names, (), self.ledger),
            scripts=self.scripts,
            lock_timeout=self.lock_timeout,
            rejecting=Rejecting(self.policy, replayed=self.replayed),
        )


def new_load_id() -> str:
    """Return an id for a load that was given none."""
    return f"pgjobs-{uuid.uuid4()}"


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
            table, df, target = settle(session, job, read)
            if job.publish == PARTS:
                table, target = _made(session, job, df, table, target)
            if table is None and job.move.replaces_partitions:
                table, target = _partitioned(session, job, df, target)
            target = to_verify(session, job, table, target)
            plan, encoded = plan_staged(job, df, target)
            way = _way(session, job, table, plan, encoded)
        with governors(job.limits, job.connector) as next_governor:
            load = Prepared(
                driver=driver,
                session=session,
                df=df,
                target=target,
                plan=plan,
                encoded=encoded,
                copying=job.copying,
                watch=watch,
                next_governor=next_governor,
                show_values=job.show_values,
            )
            published = _load(load, way, job.keep_staging, lambda: plan_staged(job, df, target))
        if published is None:
            return _already_loaded(job, watch)
        with watch.phase("analyze"):
            analyze(driver, session, target.name, job.move, published)
    return replace(report_of(job, target, published, watch), publish=way)


def take_load_id(session: Session, job: LoadJob, *others: TableName) -> bool:
    """Lock the load id, after waiting for another run of it. Return whether a load of this id has finished.

    Args:
        session: The session that keeps the lock.
        job: The load.
        others: The other tables, if it is one of a release.
    """
    lock = job.ledger.lock(session, job.load_id)
    if not locks.take(session, lock):
        who = locks.holder(session, lock)
        logger.warning(
            "Another run holds the load id %r: %s. Waiting %d s at most.", job.load_id, who, job.wait_for_load
        )
        locks.wait(session, lock, job.wait_for_load)
    return job.ledger.is_recorded(session, job.load_id, job.table, *others)


def settle(session: Session, job: LoadJob, read: Callable[[], DataFrame]) -> tuple[Table | None, DataFrame, Target]:
    """Return the table, None if the load creates it, the rows, and how they fit.

    Raises:
        UsageError: They do not, or an argument is wrong.
        LoadError: The table does not suit the mode.
    """
    table = find_table(session, job.table, job.create)
    df = storable(session, with_nulls(read(), job.null_values), job.nul)
    unread = MALFORMED if job.policy.quarantines else ""
    schema = StructType([column for column in df.schema if column.name != unread])
    target = settle_target(session, job.table, table, schema, job.move, defined=job.defined)
    check_policy(job.policy, target.move, job.publish)
    if job.policy.quarantines:
        rejects.check(session, target.name)
    return table, df, target


def to_verify(session: Session, job: LoadJob, table: Table | None, target: Target) -> Target:
    """Return the target with how its rows are written for their hashes, if the load is verified.

    Raises:
        UsageError: The table's rows cannot be read back.
    """
    return replace(target, row=_row_text(session, table, target)) if job.verify else target


def _row_text(session: Session, table: Table | None, target: Target) -> RowText:
    """Return how rows are written for their hashes."""
    if table is not None:
        verify.check_target(session, table)
    row = verify.row_text(session, target.move.columns, [form_of(match) for match in target.loaded])
    if row.not_compared:
        logger.warning("Only the NULLs of these columns are verified: %s.", ", ".join(row.not_compared))
    return row


def _made(session: Session, job: LoadJob, df: DataFrame, table: Table | None, target: Target) -> tuple[Table, Target]:
    """Return the table, which is created if it is missing: parts are copied straight into it.

    Raises:
        UsageError: Parts cannot be copied straight into it, or another run may compute other parts.
    """
    if target.is_new or target.metadata:  # what is refused leaves neither a table nor a column
        if table is not None:
            check_table(session, table)
        encoded = encode(df, target, job.copying, f"pgjobs {job.load_id}", merges=False)
        fingerprint(encoded.lines, encoded.blocks, encoded.parts, target.columns)
        create_target(session, target)
    if table is None or target.metadata:
        table = tables.find_table(session, target.name)
        if table is None:
            raise LoadError(f"There is no {target.name} any more.", "Run the load again.")
        target = settle_target(session, target.name, table, df.schema, job.move)
    check_table(session, table)
    return table, target


def _partitioned(session: Session, job: LoadJob, df: DataFrame, target: Target) -> tuple[Table, Target]:
    """Return the new table, empty, but for partitions by hash: it is then loaded as any other in this mode."""
    with session.transaction():
        columns.create(session, target.name, target.definitions, (), target.shape.clause)
        for statement in target.shape.altering(target.name):
            session.run(statement)
        by = target.shape.partition_by
        if by is not None and by.bounds:
            new.add(session, target.name, by.bounds)
        indexes.create(session, target.name, target.indexes)
    table = tables.find_table(session, target.name)
    if table is None:
        raise LoadError(f"There is no {target.name} any more.", "Run the load again.")
    return table, settle_target(session, target.name, table, df.schema, job.move)


def plan_staged(job: LoadJob, df: DataFrame, target: Target) -> tuple[PublishPlan, Encoded]:
    """Return what is to be published, with names for new staging tables, and the rows for it."""
    stream = claims.stream(job.ledger, job.load_id)
    names = staging.plan_staging(target.name, target.columns, stream, target.not_yet)
    merges, origins = not job.can_be_resumed, job.policy.quarantines
    encoded = encode(df, target, job.copying, names.rows.name, merges=merges, with_origins=origins)
    return job.plan(target, names), encoded


def _way(session: Session, job: LoadJob, table: Table | None, plan: PublishPlan, encoded: Encoded) -> str:
    """Return the way in which the rows come into the table, one of WAYS."""
    if job.publish == PARTS:
        return PARTS
    reason = job.reason_to_stage or why_staged(session, plan, table, encoded)
    logger.debug("The rows are staged: %s.", reason)
    return STAGED if reason else ONE_PART


def _load(
    load: Prepared, way: str, keep: float | None, plan_again: Callable[[], tuple[PublishPlan, Encoded]]
) -> Published | None:
    if way == PARTS:
        return ways.parts(load)
    if keep is not None:
        return ways.resumed(load, keep)
    return ways.one_part(load) if way == ONE_PART else ways.staged(load, plan_again)


def _already_loaded(job: LoadJob, watch: Stopwatch) -> LoadReport:
    return LoadReport(job.load_id, str(job.table), job.move.mode, already_loaded=True, seconds=watch.seconds())


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
