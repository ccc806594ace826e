"""Load a DataFrame into a PostgreSQL table: prepare, copy, publish; all of it or none, and once for a load id."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pyspark.sql import DataFrame

from jobs.dbaccess import catalog, ledger, staging
from jobs.dbaccess.catalog import Table
from jobs.dbaccess.errors import JobError, LoadError, UsageError
from jobs.dbaccess.postgres_connectivity import connect
from jobs.dbaccess.publish import Publication, publish
from jobs.dbaccess.session import Session
from jobs.dbaccess.settings import Settings
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.staging import Staging, Tally
from jobs.flows.progress import Progress
from jobs.flows.report import LoadReport, Stopwatch
from jobs.spark import carry, copytext
from jobs.spark.matching import Match, match_existing, match_new

MODES = ("append",)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadJob:
    """What is asked for.

    Attributes:
        load_id: names this load for ever: a second one of the same id does nothing.
        create: make the table where it is missing.
        parallelism: the most tasks that copy at once, or None for as many as Spark has.
        arrow: carry by PyArrow (True), in pure Python (False), or by what the workers have (None).
    """

    table: TableName
    settings: Settings
    mode: str
    load_id: str
    create: bool = True
    parallelism: int | None = None
    arrow: bool | None = None


@dataclass(frozen=True)
class _Target:
    """Where the rows go: the full name, which columns match, and whether the table is still to be made."""

    name: TableName
    matches: tuple[Match, ...]
    is_new: bool


def load_dataframe(
    df: DataFrame,
    *,
    table: str,
    settings: Settings,
    mode: str = "append",
    keys: Sequence[str] = (),
    load_id: str | None = None,
    create: bool = True,
    parallelism: int | None = None,
) -> LoadReport:
    """Load a DataFrame into a table, all of its rows or none.

    Args:
        df: the rows; columns are matched with the table's by name.
        table: `[schema.]table`.
        settings: where the database is.
        mode: "append".
        keys: none for "append".
        load_id: names this load: once one of this id has been published, another does nothing.
            Without it, each call is a load of its own.
        create: make the table where it is missing.
        parallelism: the most tasks that copy at once.

    Raises:
        UsageError: the data does not fit the table, or the arguments cannot be right; nothing was copied.
        JobError: the load failed; nothing of it is in the table.
    """
    if mode not in MODES:
        raise UsageError(f"There is no mode {mode!r}.", f"Modes: {', '.join(MODES)}.")
    if keys:
        raise UsageError("The mode 'append' takes no keys.", "Leave them out.")
    job = LoadJob(
        TableName.parse(table),
        settings,
        mode,
        load_id or new_load_id(),
        create=create,
        parallelism=parallelism,
    )
    return run(job, lambda: df)


def new_load_id() -> str:
    """An id for a load that was given none."""
    return f"pgjobs-{uuid.uuid4()}"


def run(job: LoadJob, read: Callable[[], DataFrame]) -> LoadReport:
    """Do the load. The input is not even looked at when the load's id is there already.

    Args:
        job: what is asked for.
        read: gives the rows.
    """
    watch = Stopwatch()
    with connect(job.settings, f"pgjobs load_table {job.load_id}") as session:
        with watch.phase("prepare"):
            ledger.ensure(session)
            if _loaded_before(session, job):
                return LoadReport(job.load_id, str(job.table), job.mode, already_loaded=True, seconds=watch.seconds())
            table = _find_table(session, job)
            df = read()
            target = _settle_target(session, job, table, df)
            names = staging.plan_staging(target.name, [match.target.name for match in target.matches])
        with _staging_tables(session, names, target):
            return _copy_and_publish(session, job=job, df=df, target=target, names=names, watch=watch)


def _loaded_before(session: Session, job: LoadJob) -> bool:
    """Take the load's id, waiting for whoever has it, and tell whether a load of this id has finished."""
    if not ledger.claim_load(session, job.load_id):
        logger.warning("Another run holds the load id %r: waiting for it to end.", job.load_id)
        ledger.await_load(session, job.load_id)
    recorded = ledger.recorded_target(session, job.load_id)
    if recorded is None:
        return False
    if TableName.parse(recorded).name != job.table.name:
        raise UsageError(
            f"The load id {job.load_id!r} was used before, for the table {recorded}.",
            "Give each load its own id.",
        )
    return True


def _find_table(session: Session, job: LoadJob) -> Table | None:
    """The table, or None where it is to be made; that it can be is settled before the input is read."""
    table = catalog.find_table(session, job.table)
    if table is None and not job.create:
        raise UsageError(f"There is no table {job.table}.", "Create it first, or give --create.")
    if table is None:
        schema = catalog.name_for_new_table(session, job.table).schema
        if schema is None or not catalog.schema_exists(session, schema):
            raise UsageError(f"There is no schema for the table {job.table}.", "Create the schema first.")
    return table


def _settle_target(session: Session, job: LoadJob, table: Table | None, df: DataFrame) -> _Target:
    """Match the data with the table, or with the one to be made."""
    if table is not None:
        return _Target(table.name, match_existing(df.schema, table), is_new=False)
    return _Target(catalog.name_for_new_table(session, job.table), match_new(df.schema), is_new=True)


@contextmanager
def _staging_tables(session: Session, names: Staging, target: _Target) -> Iterator[None]:
    """The load's tables, there for the block. A block that succeeds has published and dropped them."""
    if target.is_new:
        staging.create_as_target(session, names, [match.target.type_name for match in target.matches])
    else:
        staging.create_beside(session, names, target.name)
    try:
        yield
    except BaseException:
        staging.discard(session, names)
        raise


def _copy_and_publish(
    session: Session, *, job: LoadJob, df: DataFrame, target: _Target, names: Staging, watch: Stopwatch
) -> LoadReport:
    with watch.phase("prepare"):
        spark = df.sparkSession
        arrow = carry.workers_have_arrow(spark) if job.arrow is None else job.arrow
        if job.parallelism is not None:
            df = df.coalesce(job.parallelism)
        lines = copytext.encode(df, target.matches)
        delivery = carry.Delivery(job.settings, names, job.load_id)
        copies = carry.plan_parts(lines, delivery, arrow)
        parts = copies.getNumPartitions()
    with watch.phase("copy"), Progress(session, names, parts):
        copies.collect()
    with watch.phase("publish"):
        _check_no_failure(staging.tally(session, names))
        staged, inserted = publish(session, Publication(job.load_id, target.name, names, parts, target.is_new))
    return LoadReport(
        job.load_id,
        str(target.name),
        job.mode,
        rows_read=staged.rows,
        rows_staged=staged.rows,
        rows_inserted=inserted,
        bytes_copied=staged.bytes,
        parts=staged.parts,
        attempts_discarded=staged.discarded,
        seconds=watch.seconds(),
    )


def _check_no_failure(copied: Tally) -> None:
    """Raise what a task noted as the reason why the load cannot succeed."""
    if copied.failure is not None:
        raise LoadError(f"The server refused a row: {copied.failure}", "Nothing was loaded.")


__all__ = ["JobError", "LoadJob", "load_dataframe", "new_load_id", "run"]
