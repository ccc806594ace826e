"""Carries changes into a table: it is kept equal to another one, of this database or another."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.sql import TableName
from jobs.flows.capture.batch import carry
from jobs.flows.capture.connections import connect
from jobs.flows.capture.follow import End, follow
from jobs.flows.capture.job import CaptureJob, Stop
from jobs.flows.capture.report import CaptureReport


def capture_changes(
    table: str,
    into: str,
    *,
    settings: Settings,
    into_settings: Settings | None = None,
    channel: str = "",
    columns: Sequence[str] = (),
    filter: str = "",  # noqa: A002 - the flag's name
    seconds: float | None = 0,
    stop: Stop | None = None,
) -> CaptureReport:
    """Keep a table equal to another one, from its first copy on.

    Args:
        table: `[schema.]table`, with a primary key.
        into: The copy, which is created if it does not exist.
        settings: Where the table is.
        into_settings: Where the copy is; None for the same database.
        channel: The name of the capture; empty for the default.
        columns: Those to carry over; empty for all. The key's are carried in any case.
        filter: A boolean expression; rows for which it is not true are not in the copy.
        seconds: How long to run: 0 to carry over what is there now, None until `stop` is requested.
        stop: Ends the run from another thread or a signal handler.

    Raises:
        UsageError: The job cannot be done as it is stated.
        DatabaseError: A server refuses something, or cannot be reached for too long.
    """
    job = CaptureJob(
        settings=settings,
        table=TableName.parse(table),
        into=TableName.parse(into),
        into_settings=into_settings,
        channel=channel,
        columns=tuple(columns),
        filter=filter,
        seconds=seconds,
    )
    return run(job, stop or Stop())


def run(job: CaptureJob, stop: Stop) -> CaptureReport:
    """Carry changes into a table. Arguments and errors are those of `follow`."""
    return follow(job, stop, End(connect, carry))
