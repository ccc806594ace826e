"""How a job starts and ends: Spark starts when it is needed, and any error becomes one line and an exit status."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from jobs.cli.failure import INTERRUPTED, OK, Failure, chain
from jobs.dbaccess.errors import JobError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)


def start_spark(name: str, verbose: bool) -> SparkSession:
    """Start Spark, with a quiet log unless `verbose`, or the user has set its level. Ctrl-C and SIGTERM end the job."""
    from pyspark import SparkConf, SparkContext  # flags are checked without Spark, too
    from pyspark.sql import SparkSession

    SparkContext._ensure_initialized()  # noqa: SLF001 - only the JVM knows what --conf and spark-defaults.conf say
    given = SparkConf()
    builder = SparkSession.builder.appName(name)
    for setting, value in {} if verbose else quiet(given.contains, is_submitted=_BY_SUBMIT in os.environ).items():
        builder = builder.config(setting, value)
    spark = builder.getOrCreate()
    # PySpark's own handler calls the JVM while another call waits for its answer, and fails. Without a handler for
    # SIGTERM (`timeout`, systemd, schedulers), the process would end and leave its staging tables behind.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, interrupt)
    return spark


def quiet(is_given: Callable[[str], bool], *, is_submitted: bool) -> dict[str, str]:
    """Return the settings by which Spark prints errors only, and no bar, which would share its line with ours.

    Args:
        is_given: Whether a setting has a value.
        is_submitted: Whether spark-submit runs the job. Otherwise, PySpark itself turns the bar on.
    """
    level, bar = "spark.log.level", "spark.ui.showConsoleProgress"
    settings = {} if is_given(level) else {level: "ERROR"}
    return settings if is_submitted else {**settings, bar: "false"}


_BY_SUBMIT = "PYSPARK_GATEWAY_PORT"
"""The variable by which spark-submit tells a program where its JVM is."""


class _ReportedInterrupt(KeyboardInterrupt):
    """An interruption that was reported when it came."""


def interrupt(*_: object) -> None:
    """Report the interruption at once, and end the job. Ctrl-C also ends spark-submit's JVM, which prints our output.

    Raises:
        KeyboardInterrupt: always; `run_job` does not report it again.
    """
    clear = "\r\x1b[K" if os.isatty(_STDERR) else ""  # a line of progress
    os.write(_STDERR, f"{clear}error: {INTERRUPTED}\n".encode())  # sys.stderr may be in the middle of a write
    raise _ReportedInterrupt


_STDERR = 2


def run_job(job: Callable[[], None], verbose: bool, failed: Callable[[Failure], None] = lambda _: None) -> int:
    """Run a job, and return its exit status. An error becomes one line on stderr; `verbose` adds its stack trace.

    Args:
        job: The job.
        verbose: Whether to show stack traces.
        failed: Called with the reason if the job fails, after it was printed.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "SQLQueryContextLogger"):  # the latter logs, as JSON, each error that PySpark raises
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # its INFO is noise, its DEBUG shows secrets
    # py4j logs an interrupted call on the root logger itself, whose filters see what is logged there only.
    logging.getLogger().addFilter(lambda _: verbose)
    try:
        job()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last boundary: any error becomes a line and a status
        if verbose:
            traceback.print_exc()
        failure = Failure.of(error)
        if not any(isinstance(cause, _ReportedInterrupt) for cause in chain(error)) or isinstance(error, JobError):
            sys.stderr.write(f"error: {failure.line}\n")
        failed(failure)
        return failure.status
    return OK
