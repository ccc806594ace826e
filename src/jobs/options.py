"""The flags that all jobs share, how they become settings, and how a job ends: one line and an exit status."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.dbaccess.errors import JobError, UsageError
from jobs.dbaccess.resolve import Resolved, resolve
from jobs.dbaccess.settings import SSL_MODES
from jobs.dbaccess.sources import Given
from jobs.dbaccess.uri import states_password
from jobs.flows.credentials import chosen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

FORMATS = ("parquet", "csv", "json", "orc")
"""Of files that jobs read and write."""

OK, FAILED, WRONG_USAGE = 0, 1, 2
"""Exit statuses."""

# Flags that state one value each; the flag is libpq's name for it.
_SINGLE_VALUES = {
    "host": "name or address; several: a,b",
    "port": "default: 5432",
    "dbname": "the database",
    "user": "the role to log in as",
    "sslmode": f"{', '.join(SSL_MODES)}; default: prefer, and verify-full for RDS",
    "sslrootcert": "file of trusted authorities, or: system",
    "sslcert": "file of the client's certificate",
    "sslkey": "file of its private key",
}

logger = logging.getLogger(__name__)


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where the database is."""
    group = parser.add_argument_group(
        "connection",
        "One whole connection, single values, or both; PG* variables fill in. The password: PGPASSWORD, or from AWS.",
    )
    whole = group.add_mutually_exclusive_group()
    whole.add_argument("--database-url", metavar="URL", help="postgresql://user@host:5432/dbname?sslmode=verify-full")
    whole.add_argument("--connection", metavar="ID", help="an Airflow connection: AIRFLOW_CONN_<ID>")
    whole.add_argument("--service", metavar="NAME", help="a service of libpq's service file")
    for name, meaning in _SINGLE_VALUES.items():
        group.add_argument(f"--{name}", help=meaning)
    _add_aws_options(parser)
    group.add_argument(
        "--connect-deadline",
        type=seconds,
        metavar="SECONDS",
        help="how long to try while no server serves; default: 60",
    )
    group.add_argument("--show-connection", action="store_true", help="print each value and its origin, and end")


def _add_aws_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the password, from AWS", "Read or signed anew for each connection.")
    keeper = group.add_mutually_exclusive_group()
    keeper.add_argument(
        "--secret-id", metavar="ID", help="a secret's name or ARN; it may state host, port, dbname and user, too"
    )
    keeper.add_argument("--ssm-parameter", metavar="NAME", help="likewise, a SecureString of Parameter Store")
    keeper.add_argument("--iam-auth", action="store_true", help="no password: tokens of RDS, by the job's role")
    group.add_argument("--aws-region", metavar="REGION", default="", help="where ARN, host and environment do not tell")


def connection_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Resolved:
    """The connection settings that the flags and the environment give.

    Raises:
        UsageError: a value is missing or cannot be right.
        JobError: AWS did not give the password.
    """
    values = {name: getattr(options, name) for name in _SINGLE_VALUES if getattr(options, name) is not None}
    credentials = chosen(options.secret_id, options.ssm_parameter, options.iam_auth, options.aws_region, environ)
    given = Given(values, options.database_url, options.connection, options.service, credentials)
    if options.database_url is not None and states_password(options.database_url):
        logger.warning(
            "--database-url holds a password, which a job's arguments show to many. Safer: leave it out, and set "
            "PGPASSWORD, or use --connection or ~/.pgpass."
        )
    resolved = resolve(given, environ)
    if options.connect_deadline is None:
        return resolved
    patience = replace(resolved.settings.patience, deadline=options.connect_deadline)
    return replace(resolved, settings=replace(resolved.settings, patience=patience))


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every job that concern how it tells what it does."""
    parser.add_argument("--report", metavar="PATH", type=Path, help="write a JSON report to this file")
    parser.add_argument("--verbose", action="store_true", help="show Spark's log, and stack traces of errors")


def at_least_one(text: str) -> int:
    """A number of at least 1, for argparse."""
    if not (text.isascii() and text.isdigit() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def seconds(text: str) -> float:
    """A time of at least 0, for argparse; inf is one."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not value >= 0:  # nan is not
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return value


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
