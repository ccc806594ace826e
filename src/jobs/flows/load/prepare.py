"""Prepare a load: take its id, determine the table and how the rows fit, and plan what is to be published."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load import staging, verify
from jobs.dbaccess.load.copying import claims
from jobs.dbaccess.load.copying.direct import PARTS
from jobs.dbaccess.load.definitions import columns, indexes
from jobs.dbaccess.load.partitions import new
from jobs.dbaccess.load.publish_plan import PublishPlan
from jobs.dbaccess.load.rejects import table as rejects
from jobs.dbaccess.load.rejects.policy import check_policy
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.bad_rows.storable import storable
from jobs.flows.load.direct.direct_parts import check_table, create_target
from jobs.flows.load.job import LoadJob
from jobs.flows.load.pace.governor import Governor
from jobs.flows.load.publish import Driver
from jobs.flows.load.stage import MALFORMED, Encoded, encode
from jobs.flows.load.targets.settle import find_table, settle_target
from jobs.flows.load.targets.target import Target
from jobs.flows.load.ways import Prepared
from jobs.flows.report import Stopwatch
from jobs.spark.null_values import with_nulls
from jobs.spark.plans.fingerprint import fingerprint
from jobs.spark.row_forms import form_of

logger = logging.getLogger(__name__)


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
    target = settle_target(session, job.table, table, schema, job.moving, defined=job.defined)
    target.move.changes.check_null_values(job.null_values)
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


def created_first(
    session: Session, job: LoadJob, df: DataFrame, table: Table | None, target: Target
) -> tuple[Table | None, Target]:
    """Return the table and how the rows fit it. It is created here if rows are copied before there is a publish.

    Raises:
        UsageError: Parts cannot be copied straight into it, or another run may compute other parts.
    """
    if job.publish == PARTS:
        return _made(session, job, df, table, target)
    if table is None and job.move.replaces_partitions:
        return _partitioned(session, job, df, target)
    return table, target


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


def prepared(
    job: LoadJob,
    driver: Driver,
    session: Session,
    df: DataFrame,
    target: Target,
    *,
    watch: Stopwatch,
    next_governor: Callable[[], Governor | None],
) -> Prepared:
    """Return a load whose rows are encoded, and whose publish is planned.

    Args:
        job: The load.
        driver: Opens sessions.
        session: The driver's session, which holds what the load locks.
        df: The rows, as they fit the target.
        target: The table, and how the rows fit it.
        watch: Measures the load.
        next_governor: Returns what keeps the pace of the next step, if it is limited.
    """
    with watch.phase("prepare"):
        plan, encoded = _plan_staged(job, df, target)
    return Prepared(
        driver=driver,
        session=session,
        df=df,
        target=target,
        plan=plan,
        encoded=encoded,
        plan_again=lambda: _plan_staged(job, df, target),
        copying=job.copying,
        watch=watch,
        next_governor=next_governor,
        show_values=job.show_values,
    )


def _plan_staged(job: LoadJob, df: DataFrame, target: Target) -> tuple[PublishPlan, Encoded]:
    """Return what is to be published, with names for new staging tables, and the rows for it."""
    stream = claims.stream(job.ledger, job.load_id)
    names = staging.plan_staging(target.name, target.columns, stream, target.not_yet, target.encoded_for)
    merges, origins = not job.can_be_resumed, job.policy.quarantines
    encoded = encode(df, target, job.copying, names.rows.name, merges=merges, with_origins=origins)
    return job.plan(target, names), encoded
