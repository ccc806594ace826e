"""How a job starts and ends: Spark starts when it is needed, and any error becomes one line and an exit status."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jobs.dbaccess.errors import JobError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OK, FAILED, WRONG_USAGE = 0, 1, 2
"""Exit statuses."""

logger = logging.getLogger(__name__)


def start_spark(name: str, verbose: bool) -> SparkSession:
    """Start Spark, with a quiet log unless `verbose`. Ctrl-C and SIGTERM end the job."""
    from pyspark.sql import SparkSession  # flags are checked without Spark, too

    builder = SparkSession.builder.appName(name)
    spark = (builder if verbose else builder.config("spark.log.level", "ERROR")).getOrCreate()
    # PySpark's own handler calls the JVM while another call waits for its answer, and fails. Without a handler for
    # SIGTERM (`timeout`, systemd, schedulers), the process would end and leave its staging tables behind.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, interrupt)
    return spark


class _ReportedInterrupt(KeyboardInterrupt):
    """An interruption that was reported when it came."""


def interrupt(*_: object) -> None:
    """Report the interruption at once, and end the job. Ctrl-C also ends spark-submit's JVM, which prints our output.

    Raises:
        KeyboardInterrupt: always; `run_job` does not report it again.
    """
    clear = "\r\x1b[K" if os.isatty(_STDERR) else ""  # a line of progress
    os.write(_STDERR, f"{clear}error: {_INTERRUPTED}\n".encode())  # sys.stderr may be in the middle of a write
    raise _ReportedInterrupt


_STDERR = 2


def run_job(job: Callable[[], None], verbose: bool) -> int:
    """Run a job, and return its exit status. An error becomes one line on stderr; `verbose` adds its stack trace."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "SQLQueryContextLogger"):  # the latter logs, as JSON, each error that PySpark raises
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    logging.getLogger("botocore").setLevel(logging.WARNING)  # its INFO is noise, its DEBUG shows secrets
    # py4j logs an interrupted call on the root logger itself, whose filters see what is logged there only.
    logging.getLogger().addFilter(lambda _: verbose)
    try:
        job()
    except KeyboardInterrupt as error:
        return _fail_interrupted(error, verbose)
    except JobError as error:
        return _fail(str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED, verbose)
    except Exception as error:  # noqa: BLE001 - the last boundary: any error becomes a line and a status
        # Ctrl-C also ends the JVM, and PySpark then fails to call it.
        if any(isinstance(cause, KeyboardInterrupt) for cause in _chain(error)):
            return _fail_interrupted(error, verbose)
        return _fail(_first_line(error), WRONG_USAGE if _is_wrong_usage_of_spark(error) else FAILED, verbose)
    return OK


def _is_wrong_usage_of_spark(error: Exception) -> bool:
    """Return whether a path, a column or a query is wrong. A job without Spark does not import it for that."""
    spark = sys.modules.get("pyspark.errors")
    return spark is not None and isinstance(error, (spark.AnalysisException, spark.ParseException))


_INTERRUPTED = "interrupted. A job is done whole or not at all: run it again to be sure."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and the errors that caused it."""
    while error is not None:
        yield error
        error = error.__context__


def _fail_interrupted(error: BaseException, verbose: bool) -> int:
    if not any(isinstance(cause, _ReportedInterrupt) for cause in _chain(error)):
        return _fail(_INTERRUPTED, FAILED, verbose)
    if verbose:
        traceback.print_exc()
    return FAILED


def _fail(message: str, status: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    sys.stderr.write(f"error: {message}\n")
    return status


def _first_line(error: Exception) -> str:
    """Return the first line of an error: for the JVM, its innermost cause's; for a worker, that of its own error."""
    cause = getattr(error, "java_exception", None)
    while cause is not None and cause.getCause() is not None:
        cause = cause.getCause()
    message = str(error if cause is None else cause.toString())
    if _TRACEBACK in message:
        frames_and_error = message.rpartition(_TRACEBACK)[2].lstrip("\n").splitlines()
        own = next((line for line in frames_and_error if not line.startswith(" ")), "")
        message = re.sub(r"^jobs\.[\w.]+: ", "", own)  # our own errors are sentences, and need no class
    return (message.strip() or type(error).__name__).splitlines()[0]


_TRACEBACK = "Traceback (most recent call last):"
