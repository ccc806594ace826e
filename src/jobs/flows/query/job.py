"""Run SQL once: statements and marker are one transaction, or, with autocommit, the marker follows the statements.

The marker is that of loads (dbaccess/load/ledger.py), which is Luigi's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jobs.dbaccess import backends, locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, TransientError, UsageError, plural
from jobs.dbaccess.load.ledger import LUIGIS, Ledger, check_id
from jobs.dbaccess.locks import Lock
from jobs.dbaccess.query import result, script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT, Done, Table, check, run_statements
from jobs.dbaccess.query.result import Pending, Result
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import Output
from jobs.flows.query.report import QueryReport
from jobs.flows.report import Stopwatch

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NO_TABLE = TableName("run_query", "pgjobs")
"""What the marker names if the SQL is for no table."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class QueryJob:
    """What to run.

    Attributes:
        settings: Where the database is.
        sql: One or more statements, in which `:name` stands for a value.
        load_id: Names this run for ever: a second run with this id does nothing.
        values: By name. They are bound by the server, never inserted into the text.
        table: The table that the marker names; None for none.
        autocommit: Each statement is a transaction of its own, and so is the marker after them.
        ledger: What records the run.
        output: Files for the rows of the last query; None to return them.
    """

    settings: Settings
    sql: str
    load_id: str
    values: Mapping[str, object] = field(default_factory=dict)
    table: TableName | None = None
    autocommit: bool = False
    ledger: Ledger = LUIGIS
    output: Output | None = None

    @property
    def connector(self) -> Connector:
        """Opens the sessions of the run."""
        return Connector(self.settings, "query", self.load_id)

    def statements(self) -> list[Statement]:
        """Split the SQL into statements.

        Raises:
            UsageError: The SQL or the load id cannot be right.
        """
        check_id(self.load_id)
        statements = script.split(self.sql, self.values)
        check(statements)
        if self.output is not None:
            if self.autocommit:
                raise UsageError("--target does not go with --autocommit.", "Leave one of them out.")
            result.check(statements)
        return statements


class QueryInterrupted(TransientError):
    """The connection broke. The message says what was done."""


def run(job: QueryJob, start_spark: Callable[[], SparkSession] | None = None) -> QueryReport:
    """Run SQL, unless a run with this load id has finished.

    Args:
        job: What to run.
        start_spark: Starts Spark. It is called only if a result is to be written to files.
    """
    watch = Stopwatch()
    script_statements = job.statements()
    with job.connector.open() as session:
        job.ledger.ensure(session)
        target = NO_TABLE if job.table is None else tables.full_name(session, job.table)
        if job.output is not None:
            report = _run_to_files(session, job, script_statements, target, files=job.output, start_spark=start_spark)
            return replace(report, seconds=watch.seconds()["total"])
        ran = (_run_each if job.autocommit else _run_in_transaction)(session, job, script_statements, target)
    if ran is None:
        return QueryReport(job.load_id, str(target), already_run=True)
    return QueryReport(job.load_id, str(target), tuple(ran.done), ran.table, seconds=watch.seconds()["total"])


@dataclass
class _Ran:
    """What was run, and the rows of the last statement that returns any, or the table that has them."""

    done: list[Done] = field(default_factory=list)
    table: Table | None = None
    pending: Pending | None = None


def _run_to_files(
    session: Session,
    job: QueryJob,
    statements: list[Statement],
    target: TableName,
    *,
    files: Output,
    start_spark: Callable[[], SparkSession] | None,
) -> QueryReport:
    """Run the transaction, in which the result becomes a table, and write that to files. Runs take turns.

    A run that ends in between leaves the table to the next one, for which the load id is recorded.
    """
    from jobs.flows.query import target as query_target  # it imports Spark

    start = start_spark or query_target.some_spark
    lock = job.ledger.lock(session, job.load_id)
    locks.wait(session, lock)
    report = QueryReport(job.load_id, str(target), already_run=True)
    if job.ledger.is_recorded(session, job.load_id, target):
        pending = _left_by_earlier_run(session, job, lock, files)
    else:
        query_target.check_free(start(), files)
        ran = _run_in_transaction(session, job, statements, target)
        pending = None if ran is None else ran.pending
        if ran is not None and pending is not None:
            report = QueryReport(job.load_id, str(target), tuple(ran.done))
    if pending is None or not _write(session, job, lock, pending, files, start=start):
        return report
    return replace(report, target=files.path, rows_written=pending.rows)


def _left_by_earlier_run(session: Session, job: QueryJob, lock: Lock, files: Output) -> Pending | None:
    """Return the result that an earlier run was to write; None if it has.

    Raises:
        UsageError: It is to be written to another target.
    """
    pending = result.find(session, result.name_of(lock.name))
    if pending is not None and pending.target != files.path:
        raise UsageError(
            f"The result of {job.load_id!r} is to be written to {pending.target}, where an earlier run may have begun.",
            "Give this target.",
        )
    return pending


def _write(
    session: Session, job: QueryJob, lock: Lock, pending: Pending, files: Output, *, start: Callable[[], SparkSession]
) -> bool:
    """Write a result to files, and drop its table. Return False if another run has done so."""
    from jobs.flows.query import target as query_target  # it imports Spark

    with ExitStack() as stack:
        if session.closed:
            session = stack.enter_context(job.connector.open())
            locks.wait(session, lock)
            if result.find(session, pending.table.name) is None:
                return False
        try:
            query_target.write(pending, files, job.connector.at(session.server).settings, start)
            _drop(session, job, lock, pending, lambda: query_target.keep_one_write(pending, files))
        except BaseException:
            logger.warning(
                "The statements are committed, and %s has their result. Run it again, with this load id and target, to "
                "have it written.",
                pending.table,
            )
            raise
    return True


def _drop(session: Session, job: QueryJob, lock: Lock, pending: Pending, tidy: Callable[[], None]) -> None:
    """Drop the table of a result that was written; over another connection if this one broke while Spark wrote.

    Another run may have had the lock meanwhile, and have written the result, too.
    """
    try:
        session.run("SELECT 1")
        result.drop(session, pending, tidy)
    except ConnectionFailed:
        with job.connector.open() as replacement:
            backends.end(replacement, session.backend)
            locks.wait(replacement, lock)
            result.drop(replacement, pending, tidy)


def _run_in_transaction(session: Session, job: QueryJob, statements: list[Statement], target: TableName) -> _Ran | None:
    """Run the transaction; None if the load id is recorded already.

    If COMMIT is not answered, it is run again, as a load is published again (flows/load/publish.py): it then finds the
    load id recorded, or else the first one was rolled back.
    """
    ran = _Ran()
    try:
        return ran if _is_run_now(session, job, statements, target, ran) else None
    except ConnectionFailed as error:
        if len(ran.done) < len(statements):
            raise QueryInterrupted(f"{error.message} Nothing was done.", "Run it again.", error.sqlstate) from None
        logger.warning("The connection broke before COMMIT was answered. Running it again over another one.")
    with job.connector.open() as replacement:
        backends.end(replacement, session.backend)
        rerun = _Ran()
        return rerun if _is_run_now(replacement, job, statements, target, rerun) else ran


def _is_run_now(session: Session, job: QueryJob, statements: list[Statement], target: TableName, ran: _Ran) -> bool:
    """Record the load id, then run the statements, in one transaction; return whether the id was not recorded yet.

    By the ledger's primary key, two runs with one id take turns.

    Raises:
        UsageError: The load id is taken by another table.
    """
    with session.transaction(**PARSED_AS_SPLIT):
        if job.ledger.record(session, job.load_id, str(target)):
            if job.output is None:
                ran.table = run_statements(session, statements, job.values, ran.done)
            else:
                into = Result(session, result.name_of(job.ledger.lock(session, job.load_id).name))
                run_statements(session, statements, job.values, ran.done, into=into)
                ran.pending = into.keep(session, job.load_id, job.output.path)
            return True
    job.ledger.check_recorded(session, job.load_id, target)
    return False


def _run_each(session: Session, job: QueryJob, statements: list[Statement], target: TableName) -> _Ran | None:
    """Run the statements, each in a transaction of its own, then record the load id; None if it is recorded already."""
    locks.wait(session, job.ledger.lock(session, job.load_id))
    if job.ledger.is_recorded(session, job.load_id, target):
        return None
    for name, value in PARSED_AS_SPLIT.items():
        session.run("SELECT set_config(%s, %s, false)", name, value)
    ran = _Ran()
    try:
        ran.table = run_statements(session, statements, job.values, ran.done)
        job.ledger.record(session, job.load_id, str(target))
    except DatabaseError as error:
        kept = f"{len(ran.done)} of {plural(len(statements), 'statement')} had been committed, and the marker was not."
        raise type(error)(f"{error.message} {kept}", error.hint, error.sqlstate, error.column) from None
    return ran
