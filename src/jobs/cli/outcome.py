"""The outcome of a run, for programs: a report and events of lineage, whether it succeeds or fails."""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Protocol

from jobs.cli.failure import Failure
from jobs.cli.report_file import ReportFile
from jobs.dbaccess.errors import JobError
from jobs.lineage.events import ABORT, COMPLETE, FAIL
from jobs.lineage.run_events import Known, RunEvents

logger = logging.getLogger(__name__)


class Report(Protocol):
    """The report of a job."""

    def to_json(self) -> str:
        """Return one JSON object."""

    def summary(self) -> str:
        """Return readable lines."""


def outcome_of(
    job: str, options: argparse.Namespace, environ: Mapping[str, str], subject: str, *, endless: bool = False
) -> Outcome:
    """Return the outcome of a run that is about to begin.

    Args:
        job: The job, such as load_table.
        options: The flags of `add_common_options` and of `add_lineage_options`.
        environ: The environment, for events of lineage.
        subject: What the job works on in each of its runs, such as a table: with it, the job is named.
        endless: Whether the job runs until it is stopped.
    """
    run_id = str(uuid.uuid4())
    if options.lineage_url is None or options.show_connection or getattr(options, "dry_run", False):
        return Outcome(job, options, run_id)
    name = options.lineage_job or f"{job}.{subject}"
    kind = job.partition("_")[0].upper()
    return Outcome(
        job, options, run_id, RunEvents.of(options.lineage_url, run_id, name, kind, environ, endless=endless)
    )


def subject_of(table: str | None, sql: str | None) -> str:
    """Return what a job works on: a table, or else SQL, which is named by its hash, since it may hold values."""
    return table or f"sql-{hashlib.sha256((sql or '').encode(errors='replace')).hexdigest()[:8]}"


class Outcome:
    """The outcome of a run. Each report has the id of the run, whether it succeeded, and when it ran.

    Args:
        job: The job, such as load_table.
        options: The flags of `add_common_options`. With --show-connection, nothing is reported.
        run_id: A UUID.
        lineage: The events to send; None for none.
    """

    def __init__(self, job: str, options: argparse.Namespace, run_id: str, lineage: RunEvents | None = None) -> None:
        self._job = job
        self._file: ReportFile | None = None if options.show_connection else options.report
        self._run_id = run_id
        self._lineage = lineage
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._known: Mapping[str, str] = {}
        self._is_over = False

    def begin(self, datasets: Known, **known: str) -> None:
        """Check where the report is to go, before anything is done, and send that the run starts.

        Args:
            datasets: Returns what the run will read and write, as far as that is known.
            known: What is known of the run already, for the report of a failure.

        Raises:
            UsageError: No report can be there.
        """
        self._known = known
        if self._file is not None:
            file, self._file = self._file, None  # not to be tried again for the failure that this would be
            file.check()
            self._file = file
        if self._lineage is not None:
            self._lineage.start(datasets)

    def succeed(self, report: Report, datasets: Known, output: str = "") -> None:
        """Print what was done, and write the report. What was done stays done if the report cannot be written.

        Args:
            report: The report.
            datasets: Returns what the run has read and written.
            output: What to print in place of its summary.
        """
        self._is_over = True
        try:
            sys.stdout.write(output or f"{report.summary()}\n")
            sys.stdout.flush()
        finally:
            if self._lineage is not None:
                self._lineage.end(COMPLETE, datasets)
            self._write("succeeded", json.loads(report.to_json()))
            self._finish()

    def fail(self, failure: Failure) -> None:
        """Write the report of a failure, and send an event, unless the job had succeeded before."""
        if self._is_over:
            return
        self._is_over = True
        if self._lineage is not None:
            # A message of Spark's own may quote a value of a row, which is to stay in the job's log.
            error = failure.line if failure.is_ours else f"{failure.type}. The log of the job has the message."
            self._lineage.end(ABORT if failure.is_interruption else FAIL, error=error)
        fields = {name: value for name, value in asdict(failure).items() if name not in ("status", "is_ours")}
        seconds = {"total": round(time.monotonic() - self._clock, 3)}
        self._write("failed", {**self._known, "error": fields, "exit_status": failure.status, "seconds": seconds})
        self._finish()

    def _finish(self) -> None:
        if self._lineage is not None:
            self._lineage.finish()

    def _write(self, status: str, fields: Mapping[str, object]) -> None:
        """Write the report. If that is impossible, say so, and log the report: a job is not undone for it."""
        if self._file is None:
            return
        run = {"job": self._job, "run_id": self._run_id, "started": _text(self._started)}
        document = {"status": status, **run, "ended": _text(datetime.now(timezone.utc)), **fields}
        try:
            self._file.write_text(json.dumps(document, indent=2) + "\n")
        except JobError as error:
            logger.warning("The job %s. %s It is: %s", status, error, json.dumps(document))


def _text(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")
