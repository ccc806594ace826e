"""What a run tells programs: its report, whether it succeeds or fails."""

from __future__ import annotations

import argparse
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

logger = logging.getLogger(__name__)


class Report(Protocol):
    """The report of a job."""

    def to_json(self) -> str:
        """Return one JSON object."""

    def summary(self) -> str:
        """Return readable lines."""


class Outcome:
    """A run, as it is told to programs. The report of each run has its id, whether it succeeded, and when it ran.

    Args:
        job: The job, such as load_table.
        options: The flags of `add_common_options`, and --show-connection, which tells nothing.
    """

    def __init__(self, job: str, options: argparse.Namespace) -> None:
        self._job = job
        self._file: ReportFile | None = None if options.show_connection else options.report
        self._run_id = str(uuid.uuid4())
        self._started = datetime.now(timezone.utc)
        self._clock = time.monotonic()
        self._known: Mapping[str, str] = {}
        self._is_over = False

    def begin(self, **known: str) -> None:
        """Check where the report is to go, before anything is done.

        Args:
            known: What is known of the run already, for the report of a failure.

        Raises:
            UsageError: No report can be there.
        """
        self._known = known
        if self._file is not None:
            file, self._file = self._file, None  # not to be tried again for the failure that this would be
            file.check()
            self._file = file

    def succeed(self, report: Report, told: str = "") -> None:
        """Print what was done, and write the report. What was done stays done if the report cannot be written.

        Args:
            report: The report.
            told: What to print in place of its summary.
        """
        self._is_over = True
        try:
            sys.stdout.write(told or f"{report.summary()}\n")
            sys.stdout.flush()
        finally:
            self._write("succeeded", json.loads(report.to_json()))

    def fail(self, failure: Failure) -> None:
        """Write the report of a failure, unless the job had succeeded before."""
        if self._is_over:
            return
        self._is_over = True
        error = {name: value for name, value in asdict(failure).items() if name not in ("status", "is_ours")}
        seconds = {"total": round(time.monotonic() - self._clock, 3)}
        self._write("failed", {**self._known, "error": error, "exit_status": failure.status, "seconds": seconds})

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
