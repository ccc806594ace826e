"""Load a DataFrame into a PostgreSQL table: prepare, copy, publish; all of it or none, and once for a load id."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pyspark.sql import DataFrame

from jobs.dbaccess import locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import overwrite, scripts, staging, verify
from jobs.dbaccess.load.definitions import Definition
from jobs.dbaccess.load.ledger import LUIGIS, MARKER_TABLE, Ledger, check_id
from jobs.dbaccess.load.modes import Move, OrderBy, parse_order
from jobs.dbaccess.load.publish import Published
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.load.scripts import Scripts
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name
from jobs.flows.load.publish import Driver, analyze, publish_once, staging_tables
from jobs.flows.load.stage import Copying, RowsMayDiffer, copy, failures_explained
from jobs.flows.load.target import NONE_DEFINED, Defined, Target, find_table, settle_target
from jobs.flows.report import LoadReport, Stopwatch
from jobs.spark.load_tasks import Delivery
from jobs.spark.null_values import with_nulls
from jobs.spark.row_forms import form_of

FRESH_STARTS = 2
"""How often a load starts over because Spark computed a shuffle again while parts were copied from it."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadJob:
    """A load to do.

    Attributes:
        load_id: The permanent name of this load: a second load of the same id does nothing.
        keys: The columns that identify a row, for upsert and ignore.
        order: Of rows with the same keys, only the first in this order is loaded.
        create: Whether to create the table if it is missing.
        copying: How rows are copied.
        wait_for_load: The longest time to wait for another run of the load id, in seconds.
        verify: Whether to compare the table's rows with what Spark encoded, before the commit.
        scripts: SQL of the user's own in the publishing transaction.
        skip_unchanged: Whether an upsert leaves out rows that are equal to the table's: "auto", "yes" or "no".
        ledger: What records the load.
        lock_timeout: The longest time to wait for each lock while rows are published, in seconds; None for what the
            user's settings say.
        overwrite_where: The condition of the rows that the mode "overwrite" replaces; None for all rows.
        defined: The columns that the user defines.
        null_values: Strings of the data that stand for NULL.
        overwrite_strategy: How the mode "overwrite" replaces rows: "delete" (all of them) or "diff".
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
    scripts: Scripts = field(default_factory=Scripts)
    skip_unchanged: str = "auto"
    ledger: Ledger = LUIGIS
    lock_timeout: int | None = None
    overwrite_where: str | None = None
    defined: Defined = NONE_DEFINED
    null_values: tuple[str, ...] = ()
    overwrite_strategy: str = "delete"

    @property
    def connector(self) -> Connector:
        """Opens the sessions of the load."""
        return Connector(self.settings, "load", self.load_id)

    @property
    def move(self) -> Move:
        """How staged rows are moved. The columns are settled when the data is known."""
        return Move(
            self.mode,
            (),
            self.keys,
            self.order,
            self.skip_unchanged,
            where=self.overwrite_where,
            strategy=self.overwrite_strategy,
        )


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
    before_sql: str | None = None,
    after_sql: str | None = None,
    skip_unchanged: str = "auto",
    marker_table: str = MARKER_TABLE,
    lock_timeout: int | None = None,
    overwrite_where: str | None = None,
    column_types: Mapping[str, str] | None = None,
    metadata_columns: Mapping[str, str] | None = None,
    null_values: Collection[str] = (),
    overwrite_strategy: str = "delete",
) -> LoadReport:
    """Load a DataFrame into a table, all of its rows or none.

    Args:
        df: The rows. Their columns are matched with the table's by name.
        table: `[schema.]table`.
        settings: The settings of the connection.
        mode: "append", "overwrite" (replace all rows), "upsert" (insert, or update the row with the same keys) or
            "ignore" (insert rows whose keys are not in the table).
        keys: The columns that identify a row, for upsert and ignore.
        load_id: The name of this load: after a load of this id was published, another one does nothing.
            Without it, each call is a load of its own.
        dedupe_order: For example "updated_at desc": of rows with the same keys, only the first is loaded.
            Without it, they are an error.
        create: Whether to create the table if it is missing. The keys become its primary key.
        parallelism: The most connections at once; by default half of the server's free connections.
        strip_nul: Whether to remove NUL characters from text instead of refusing them.
        wait_for_load: The longest time to wait for another run of this load id, in seconds.
        verify: Whether to compare the table's rows with what Spark encoded, by sums of hashes, before the commit.
        before_sql: Statements to run in the publishing transaction before the rows are moved.
        after_sql: Likewise, after they were moved, and verified.
        skip_unchanged: Whether an upsert leaves out rows that are equal to the table's: "yes", "no", or "auto", which
            decides by a sample.
        marker_table: `[schema.]table` that records the load; created if it is missing.
        lock_timeout: The longest time to wait for each lock of the table and its rows, in seconds. Without it, the
            setting `lock_timeout` of the user applies, which by default has no limit.
        overwrite_strategy: For the mode "overwrite": "delete" replaces all rows, and "diff" writes only what differs
            from the table's rows, by `keys`.
        overwrite_where: For the mode "overwrite": replace only the rows that meet this SQL condition, which all new
            rows must meet. It becomes part of statements: take it only from people you trust.
        column_types: Types by column, for a table that the load creates, with what may follow a type in CREATE TABLE.
            Columns that the data does not have are added.
        metadata_columns: Likewise, columns to add to the table if it lacks them, whether it is new or not.
        null_values: Strings that stand for NULL, in the data's columns of strings.

    Raises:
        UsageError: The data does not fit the table, or the arguments are invalid. Nothing was copied.
        JobError: The load failed. Nothing of it is in the table.
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
        scripts=scripts.parse(before_sql, after_sql),
        skip_unchanged=skip_unchanged,
        ledger=Ledger.parse(marker_table),
        lock_timeout=lock_timeout,
        overwrite_where=overwrite_where,
        defined=Defined(_definitions(column_types), _definitions(metadata_columns)),
        null_values=tuple(null_values),
        overwrite_strategy=overwrite_strategy,
    )
    return run(job, lambda: df)


def _definitions(by_name: Mapping[str, str] | None) -> tuple[Definition, ...]:
    return tuple(Definition(name, sql) for name, sql in (by_name or {}).items())


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
    job.move.check_arguments()
    check_id(job.load_id)
    job.defined.check()
    driver = Driver(job.connector)
    with driver.connect() as session:
        with watch.phase("prepare"):
            job.ledger.ensure(session)
            job = replace(job, table=tables.full_name(session, job.table))
            if _take_load_id(session, job):
                return _already_loaded(job, watch)
            staging.sweep(session)
            table = find_table(session, job.table, job.create)
            df = with_nulls(read(), job.null_values)
            target = settle_target(session, job.table, table, df.schema, job.move, defined=job.defined)
            if job.verify:
                target = replace(target, row=_row_text(session, table, target))
        published = _stage_and_publish(driver, session, job, df, target, watch=watch)
        if published is None:
            return _already_loaded(job, watch)
        with watch.phase("analyze"):
            analyze(driver, session, target.name, job.move, published)
    return _report(job, target, published, watch)


def _take_load_id(session: Session, job: LoadJob) -> bool:
    """Lock the load id, after waiting for another run of it. Return whether a load of this id has finished."""
    lock = job.ledger.lock(session, job.load_id)
    if not locks.take(session, lock):
        who = locks.holder(session, lock)
        logger.warning(
            "Another run holds the load id %r: %s. Waiting %d s at most.", job.load_id, who, job.wait_for_load
        )
        locks.wait(session, lock, job.wait_for_load)
    return job.ledger.is_recorded(session, job.load_id, job.table)


def _row_text(session: Session, table: Table | None, target: Target) -> RowText:
    """Return how rows are written for their hashes.

    Raises:
        UsageError: The table's rows cannot be read back.
    """
    if table is not None:
        verify.check_target(session, table)
    row = verify.row_text(session, target.columns, [form_of(match) for match in target.matches])
    if row.not_compared:
        logger.warning("Only the NULLs of these columns are verified: %s.", ", ".join(row.not_compared))
    return row


def _stage_and_publish(
    driver: Driver, session: Session, job: LoadJob, df: DataFrame, target: Target, *, watch: Stopwatch
) -> Published | None:
    """Copy into staging and publish. Start over in a new staging if parts need not fit together.

    Returns:
        What was published, or None if another run has published this load id.
    """
    for start in range(FRESH_STARTS + 1):
        names = staging.plan_staging(target.name, target.columns)
        delivery = Delivery(job.connector, names)
        try:
            with staging_tables(driver, session, names, target):
                if target.is_new and target.move.where is not None:
                    columns = f"{names.rows.quoted} AS {quote_name(target.name.name)}"
                    overwrite.check_condition(session, columns, target.move.where, target.name)
                receipts = copy(session, df, target, delivery=delivery, how=job.copying, watch=watch)
                with watch.phase("publish"), failures_explained(df, target):
                    plan = target.plan(job.load_id, names, receipts, job.ledger)
                    plan = replace(plan, scripts=job.scripts, lock_timeout=job.lock_timeout)
                    return publish_once(driver, session, plan)
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
        rows_unchanged=published.unchanged,
        rows_ignored=published.ignored,
        rows_deleted=published.deleted,
        bytes_copied=staged.bytes,
        parts=staged.parts,
        attempts_discarded=staged.discarded,
        seconds=watch.seconds(),
        verified=published.verified,
        before_sql=published.ran.before,
        after_sql=published.ran.after,
    )
