"""Load a DataFrame into a PostgreSQL table: prepare, copy, publish; all of it or none, and once for a load id."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import ledger, staging, verify
from jobs.dbaccess.load.modes import Move, OrderBy, parse_order
from jobs.dbaccess.load.publish import Published
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.publish import Driver, analyze, publish_once, staging_tables
from jobs.flows.load.stage import Copying, RowsMayDiffer, copy, failures_explained
from jobs.flows.load.target import Target, find_table, settle_target
from jobs.flows.report import LoadReport, Stopwatch
from jobs.spark.load_tasks import Delivery
from jobs.spark.row_forms import form_of

FRESH_STARTS = 2
"""How often a load starts over because Spark computed a shuffle again while parts were copied from it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadJob:
    """What is asked for.

    Attributes:
        load_id: names this load for ever: a second one of the same id does nothing.
        keys: the columns that identify a row, for upsert and ignore.
        order: which of several rows with the same keys counts.
        create: create the table where it is missing.
        copying: how rows are copied.
        wait_for_load: seconds to wait at most for another run of the load id.
        verify: compare what the table holds with what Spark meant, before the commit.
    """

    table: TableName
    settings: Settings
    mode: str
    load_id: str
    keys: tuple[str, ...] = ()
    order: tuple[OrderBy, ...] = ()
    create: bool = True
    copying: Copying = field(default_factory=Copying)
    wait_for_load: int = locks.LONGEST_WAIT
    verify: bool = False

    @property
    def move(self) -> Move:
        """How staged rows are moved; the columns are settled when the data is known."""
        return Move(self.mode, (), self.keys, self.order)


def load_dataframe(
    df: DataFrame,
    *,
    table: str,
    settings: Settings,
    mode: str = "append",
    keys: Sequence[str] = (),
    load_id: str | None = None,
    dedupe_order: str = "",
    create: bool = True,
    parallelism: int | None = None,
    strip_nul: bool = False,
    wait_for_load: int = locks.LONGEST_WAIT,
    verify: bool = False,
) -> LoadReport:
    """Load a DataFrame into a table, all of its rows or none.

    Args:
        df: the rows; columns are matched with the table's by name.
        table: `[schema.]table`.
        settings: where the database is.
        mode: "append", "overwrite" (replace all rows), "upsert" (insert, or update the row with the same keys) or
            "ignore" (insert rows whose keys are not in the table).
        keys: the columns that identify a row, for upsert and ignore.
        load_id: names this load: once one of this id has been published, another does nothing.
            Without it, each call is a load of its own.
        dedupe_order: such as "updated_at desc": of several rows with the same keys the first counts.
            Without it they are an error.
        create: create the table where it is missing; keys become its primary key.
        parallelism: the most connections at once; by default half of what the server has free.
        strip_nul: leave NUL characters out of text, instead of refusing them.
        wait_for_load: seconds to wait at most for another run of this load id.
        verify: compare what the table holds with what Spark meant, by sums of hashes, before the commit.

    Raises:
        UsageError: the data does not fit the table, or the arguments cannot be right; nothing was copied.
        JobError: the load failed; nothing of it is in the table.
    """
    job = LoadJob(
        table=TableName.parse(table),
        settings=settings,
        mode=mode,
        load_id=new_load_id() if load_id is None else load_id,
        keys=tuple(keys),
        order=parse_order(dedupe_order) if dedupe_order else (),
        create=create,
        copying=Copying(parallelism, strip_nul=strip_nul),
        wait_for_load=wait_for_load,
        verify=verify,
    )
    return run(job, lambda: df)


def new_load_id() -> str:
    """An id for a load that was given none."""
    return f"pgjobs-{uuid.uuid4()}"


def run(job: LoadJob, read: Callable[[], DataFrame]) -> LoadReport:
    """Do the load. The input is not read where a load of this id has finished.

    Args:
        job: what is asked for.
        read: gives the rows.
    """
    watch = Stopwatch()
    job.move.check_arguments()
    ledger.check_id(job.load_id)
    driver = Driver(job.settings, f"pgjobs load_table {job.load_id}")
    with driver.connect() as session:
        with watch.phase("prepare"):
            ledger.ensure(session)
            job = replace(job, table=tables.full_name(session, job.table))
            if _take_load_id(session, job):
                return _already_loaded(job, watch)
            staging.sweep(session)
            table = find_table(session, job.table, job.create)
            df = read()
            target = settle_target(session, job.table, table, df.schema, job.move)
            if job.verify:
                target = replace(target, row=_row_text(session, table, target))
        published = _stage_and_publish(driver, session, job, df, target, watch=watch)
        if published is None:
            return _already_loaded(job, watch)
        with watch.phase("analyze"):
            analyze(driver, session, target.name, job.mode, published)
    return _report(job, target, published, watch)


def _take_load_id(session: Session, job: LoadJob) -> bool:
    """Take the load id, waiting for another run that holds it; whether this load has finished before."""
    if not ledger.claim_load(session, job.load_id):
        who = ledger.holder(session, job.load_id)
        logger.warning(
            "Another run holds the load id %r: %s. Waiting %d s at most.", job.load_id, who, job.wait_for_load
        )
        ledger.await_load(session, job.load_id, job.wait_for_load)
    return ledger.is_recorded(session, job.load_id, job.table)


def _row_text(session: Session, table: Table | None, target: Target) -> RowText:
    """How rows are written for their hashes.

    Raises:
        UsageError: the table's rows cannot be read back.
    """
    if table is not None:
        verify.check_target(session, table)
    row = verify.row_text(session, target.columns, [form_of(match) for match in target.matches])
    if row.not_compared:
        logger.warning("Not verified but for NULLs: %s.", ", ".join(row.not_compared))
    return row


def _stage_and_publish(
    driver: Driver, session: Session, job: LoadJob, df: DataFrame, target: Target, *, watch: Stopwatch
) -> Published | None:
    """Copy into staging and publish; start over in a new staging where parts need not fit together.

    Returns:
        None where another run published this load id meanwhile.
    """
    for start in range(FRESH_STARTS + 1):
        names = staging.plan_staging(target.name, target.columns)
        delivery = Delivery(job.settings, names, job.load_id)
        try:
            with staging_tables(driver, session, names, target):
                receipts = copy(session, df, target, delivery=delivery, how=job.copying, watch=watch)
                with watch.phase("publish"), failures_explained(df, target):
                    return publish_once(driver, session, target.plan(job.load_id, names, receipts))
        except RowsMayDiffer as error:
            if start == FRESH_STARTS:
                raise
            logger.warning("%s Starting over.", error.message)
    raise AssertionError("the last start returns or raises")


def _already_loaded(job: LoadJob, watch: Stopwatch) -> LoadReport:
    return LoadReport(job.load_id, str(job.table), job.mode, already_loaded=True, seconds=watch.seconds())


def _report(job: LoadJob, target: Target, published: Published, watch: Stopwatch) -> LoadReport:
    staged = published.staged
    return LoadReport(
        job.load_id,
        str(target.name),
        job.mode,
        rows_read=staged.rows,
        rows_staged=staged.rows,
        rows_inserted=published.inserted,
        rows_updated=published.updated,
        rows_ignored=published.ignored,
        bytes_copied=staged.bytes,
        parts=staged.parts,
        attempts_discarded=staged.discarded,
        seconds=watch.seconds(),
        verified=published.verified,
    )
