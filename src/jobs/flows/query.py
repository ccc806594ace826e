"""Run SQL once: statements and marker are one transaction, or, with autocommit, the marker follows the statements.

The marker is that of loads (dbaccess/load/ledger.py), which is Luigi's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jobs.aws.s3_objects import read_object
from jobs.dbaccess import backends, locks
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, TransientError, UsageError
from jobs.dbaccess.load.ledger import LUIGIS, MARKER_TABLE, Ledger, check_id
from jobs.dbaccess.query import script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT, Done, Table, check, run_statements
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.report import Stopwatch, plural, statements

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
    """

    settings: Settings
    sql: str
    load_id: str
    values: Mapping[str, object] = field(default_factory=dict)
    table: TableName | None = None
    autocommit: bool = False
    ledger: Ledger = LUIGIS

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
        return statements


@dataclass(frozen=True)
class QueryReport:
    """A finished run, or one that had finished before.

    Attributes:
        table: That the marker names.
        statements: What was run, in this order.
        result: The rows of the last statement that returns any; not part of the JSON report.
        already_run: A run with this load id had finished before. Nothing was run.
        seconds: Of all.
    """

    load_id: str
    table: str
    statements: tuple[Done, ...] = ()
    result: Table | None = None
    already_run: bool = False
    seconds: float = 0.0

    def to_json(self) -> str:
        """Return one JSON object, for --report."""
        values = {name: value for name, value in asdict(self).items() if name != "result"}
        return json.dumps(values, indent=2) + "\n"

    def summary(self) -> str:
        """Return one line for a person."""
        if self.already_run:
            return f"already run: the load id {self.load_id!r} is recorded for {self.table}. Nothing was run."
        counts = plural(len(self.statements), "statement")
        return f"ran {counts} in {self.seconds:.1f} s: {statements(self.statements)}"


class QueryInterrupted(TransientError):
    """The connection broke. The message says what was done."""


def run_query(
    sql: str,
    *,
    settings: Settings,
    load_id: str,
    values: Mapping[str, object] | None = None,
    table: str | None = None,
    autocommit: bool = False,
    marker_table: str = MARKER_TABLE,
) -> QueryReport:
    """Run SQL, unless a run with this load id has finished.

    Args:
        sql: One or more statements, in which `:name` stands for a value.
        settings: Where the database is.
        load_id: Names this run for ever: a second run with this id does nothing.
        values: By name. The server binds them; they are never inserted into the text.
        table: `[schema.]table` that the marker names.
        autocommit: Each statement is a transaction of its own, and so is the marker after them.
        marker_table: `[schema.]table` that records the run; created if it is missing.

    Raises:
        UsageError: The SQL cannot be right, or the load id is taken by another table.
        DatabaseError: The server refused a statement.
        QueryInterrupted: The connection broke.
    """
    job = QueryJob(
        settings=settings,
        sql=sql,
        load_id=load_id,
        values=values or {},
        table=TableName.parse(table) if table else None,
        autocommit=autocommit,
        ledger=Ledger.parse(marker_table),
    )
    return run(job)


def run(job: QueryJob) -> QueryReport:
    """Run SQL, as `run_query`."""
    watch = Stopwatch()
    script_statements = job.statements()
    with job.connector.open() as session:
        job.ledger.ensure(session)
        target = NO_TABLE if job.table is None else tables.full_name(session, job.table)
        ran = (_run_each if job.autocommit else _run_in_transaction)(session, job, script_statements, target)
    if ran is None:
        return QueryReport(job.load_id, str(target), already_run=True)
    return QueryReport(job.load_id, str(target), tuple(ran.done), ran.table, seconds=watch.seconds()["total"])


@dataclass
class _Ran:
    """What was run, and the rows of the last statement that returns any."""

    done: list[Done] = field(default_factory=list)
    table: Table | None = None


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
            ran.table = run_statements(session, statements, job.values, ran.done)
            return True
    job.ledger.is_recorded(session, job.load_id, target)  # raises if it is recorded for another table
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


def read_sql(path: str, environ: Mapping[str, str], flag: str = "--sql-file") -> str:
    """Read SQL from a file, also on s3://, without Spark.

    Args:
        path: Of the file.
        environ: The environment, for the AWS region.
        flag: The flag that gives the path.

    Raises:
        UsageError: The file does not exist, or is not UTF-8.
        JobError: AWS did not return it.
    """
    try:
        content = read_object(path, environ) if path.startswith("s3://") else Path(path).read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"The SQL file {path} cannot be read: {error.strerror}.", f"Check {flag}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"The SQL file {path} is not UTF-8.", "Convert it: iconv -t UTF-8.") from None
