"""The flags that all jobs share, how they become settings, and how a job ends: one line and an exit status."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from jobs.dbaccess.errors import JobError, UsageError
from jobs.dbaccess.settings import Settings, settings_from

OK, FAILED, WRONG_USAGE = 0, 1, 2
"""Exit statuses."""


def add_connection_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say where the database is."""
    group = parser.add_argument_group("connection (the password comes from PGPASSWORD)")
    group.add_argument("--database-url", metavar="URL", help="postgresql://user@host:5432/dbname")
    group.add_argument("--host", help="default: PGHOST, else localhost")
    group.add_argument("--port", help="default: PGPORT, else 5432")
    group.add_argument("--dbname", help="default: PGDATABASE")
    group.add_argument("--user", help="default: PGUSER")


def settings_of(options: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """The connection settings that the flags and the environment give."""
    explicit = {name: getattr(options, name) for name in ("host", "port", "dbname", "user")}
    return settings_from({**explicit, "url": options.database_url}, environ)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every job that concern how it tells what it does."""
    parser.add_argument("--report", metavar="PATH", type=Path, help="write a JSON report to this file")
    parser.add_argument("--verbose", action="store_true", help="show Spark's log, and stack traces of errors")


def run_job(job: Callable[[], None], verbose: bool) -> int:
    """Run a job to its exit status; an error becomes one line on stderr (its stack trace only when verbose)."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    for chatty in ("py4j", "SQLQueryContextLogger"):  # the latter logs, as JSON, each error that PySpark raises
        logging.getLogger(chatty).setLevel(logging.DEBUG if verbose else logging.CRITICAL)
    try:
        job()
    except KeyboardInterrupt:
        return _fail("interrupted; nothing was loaded.", FAILED, verbose)
    except JobError as error:
        return _fail(str(error), WRONG_USAGE if isinstance(error, UsageError) else FAILED, verbose)
    except Exception as error:  # noqa: BLE001 - the last boundary: whatever it is becomes a line and a status
        return _fail(_first_line(error), FAILED, verbose)
    return OK


def _fail(message: str, status: int, verbose: bool) -> int:
    if verbose:
        traceback.print_exc()
    sys.stderr.write(f"error: {message}\n")
    return status


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
