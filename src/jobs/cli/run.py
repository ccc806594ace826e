"""How a job starts and ends: Spark when it is needed; one line and an exit status, whatever happens."""

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
    """A session whose log is quiet, unless it is wanted, and which Ctrl-C and SIGTERM end."""
    from pyspark.sql import SparkSession  # flags are checked without Spark, too

    builder = SparkSession.builder.appName(name)
    spark = (builder if verbose else builder.config("spark.log.level", "ERROR")).getOrCreate()
    # PySpark's own handler asks the JVM from within a reading of its answer, and dies of that; ours ends the job.
    # Without one for SIGTERM (`timeout`, systemd, schedulers), the process would end with its staging left behind.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, interrupt)
    return spark


class _ToldInterrupt(KeyboardInterrupt):
    """An interruption that was told when it came."""


def interrupt(*_: object) -> None:
    """Tell it at once, then end the job. Ctrl-C ends spark-submit's JVM, too, which passes on what this process writes.

    Raises:
        KeyboardInterrupt: always; `run_job` does not tell it again.
    """
    clear = "\r\x1b[K" if os.isatty(_STDERR) else ""  # the progress that stands there
    os.write(_STDERR, f"{clear}error: {_INTERRUPTED}\n".encode())  # sys.stderr may be in the middle of a write
    raise _ToldInterrupt


_STDERR = 2


def run_job(job: Callable[[], None], verbose: bool) -> int:
    """Run a job to its exit status; an error becomes one line on stderr (its stack trace only when verbose)."""
    from pyspark.errors import AnalysisException, ParseException

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
    except (AnalysisException, ParseException) as error:  # a path, a column or a query that cannot be right
        return _fail(_first_line(error), WRONG_USAGE, verbose)
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever it is becomes a line and a status
        # Ctrl-C ends the JVM, too, and PySpark's way out then fails for want of one.
        if any(isinstance(cause, KeyboardInterrupt) for cause in _chain(error)):
            return _fail_interrupted(error, verbose)
        return _fail(_first_line(error), FAILED, verbose)
    return OK


_INTERRUPTED = "interrupted. A job is done whole or not at all: run it again to be sure."


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__context__


def _fail_interrupted(error: BaseException, verbose: bool) -> int:
    if not any(isinstance(cause, _ToldInterrupt) for cause in _chain(error)):
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
    """What tells most: of what the JVM raised, its innermost cause's first line; of what a worker raised, its own."""
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
