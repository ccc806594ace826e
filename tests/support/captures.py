"""What tests of captures share: a job between two tables, and the comparison of both."""

from __future__ import annotations

import time

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.job import CaptureJob, Stop
from jobs.flows.capture.report import CaptureReport
from jobs.flows.capture.table import run

COPY = "copy of t"


def captured(database: Settings, table: str = "t", into: str = COPY, **values: object) -> CaptureReport:
    """Carry over once what is new."""
    return run(job_of(database, table, into, **values), Stop())


def job_of(database: Settings, table: str = "t", into: str = COPY, **values: object) -> CaptureJob:
    """Return a job that runs once, unless its seconds say otherwise."""
    return CaptureJob(database, TableName.parse(table), TableName.parse(into), **values)  # type: ignore[arg-type]


def until_ended(session: Session) -> None:
    """Wait until the server has seen the end of all captures' sessions. Until then, their readers are running."""
    query = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^pgjobs capture'"
    while session.run(query):
        time.sleep(0.01)


def rows(session: Session, table: str = "t", condition: str = "true") -> list[list[object]]:
    """Return the rows of a table as texts, sorted."""
    quoted = TableName.parse(table).quoted
    return session.run(f"SELECT x::text FROM {quoted} AS x WHERE {condition} ORDER BY 1")
