"""Capture a table's changes by triggers, and copy them as they happen: into another table, or into files."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from jobs.cli.flags import (
    FORMATS,
    add_common_options,
    add_connection_options,
    add_lineage_options,
    connection_of,
    names,
    seconds,
)
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.run import interrupt, run_job, start_spark
from jobs.cli.text_table import text_table
from jobs.dbaccess.capture.objects import check_channel
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName
from jobs.flows.capture import manage
from jobs.flows.capture.job import LINGER, LINGER_OF_FILES, CaptureJob, Files, Stop
from jobs.flows.capture.manage import CaptureStatus
from jobs.flows.capture.report import CaptureReport
from jobs.flows.capture.table import run
from jobs.flows.connection import connection as connection_from
from jobs.flows.file_options import parse_options
from jobs.flows.report import readable_size
from jobs.lineage import datasets
from jobs.lineage.datasets import Datasets

EXAMPLES = """
examples:
  A copy in another database, kept up to date until it is stopped:
    capture_changes.py --table sales.orders --into sales.orders \\
      --into-url postgresql://loader@reports.example.com/reports --service shop

  Some columns and rows, once, with all that has changed since the last run:
    capture_changes.py --table products --columns name,price --filter "amount > 0" --into products_copy --once \\
      --service shop

  Files that tell each change, a folder for each batch; key, operation and the newest version come along:
    spark-submit capture_changes.py --table sales.orders --target s3://bucket/orders/ --ordinal-column updated_at \\
      --service shop

exit status: 0 done, or stopped by a signal; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    endless = not options.once and options.run_for is None
    outcome = outcome_of("capture_changes", options, environ, options.table, endless=endless)
    return run_job(lambda: capture(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: The command line is wrong, or asks for help.
        UsageError: An argument has a value that cannot be right.
    """
    options = parse(arguments)
    for name in (options.table, options.into):
        if name is not None:
            TableName.parse(name)
    if options.channel:
        check_channel(options.channel)
    parse_options(options.option, options.format or FORMATS[0])


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.show_connection:
        manages = options.status or options.drop or options.forget_reader
        if options.table is None:
            parser.error("the following arguments are required: --table")
        if not manages and options.into is None and options.target is None:
            parser.error("one of the arguments --into --target is required")
        if options.target is None and (options.option or options.ordinal_column or options.format):
            parser.error("--format, --option and --ordinal-column are for --target")
        if manages and options.lineage_url is not None:
            parser.error("--lineage-url is for reading a capture")
        if options.into_url and options.into is None:
            parser.error("--into-url is for --into")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="capture_changes.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("source")
    source.add_argument("--table", metavar="[SCHEMA.]TABLE", help="needs a primary key; names are taken as written")
    source.add_argument(
        "--columns", type=names, default=(), metavar="A,B", help="copy these columns and those of the key; default: all"
    )
    source.add_argument(
        "--filter",
        metavar="SQL",
        default="",
        help="copy only the rows for which this expression is true; it becomes part of statements",
    )
    source.add_argument(
        "--channel",
        default="",
        metavar="NAME",
        help="the capture's name, from which those of its triggers, function, tables and notifications are made; "
        "default: SCHEMA__TABLE__pgjobs",
    )
    target = parser.add_argument_group("target")
    where = target.add_mutually_exclusive_group()
    where.add_argument("--into", metavar="[SCHEMA.]TABLE", help="a copy, which is created if it does not exist")
    where.add_argument("--target", metavar="PATH", help="a folder or s3:// prefix, which gets a folder for each batch")
    target.add_argument(
        "--into-url", metavar="URL", help="its database, if that is another one; variables and ~/.pgpass fill in"
    )
    target.add_argument("--format", choices=FORMATS, help="of the files; default: parquet")
    target.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of Spark's writer, such as header=true"
    )
    target.add_argument(
        "--ordinal-column",
        default="",
        metavar="C",
        help="an integer or timestamp column, which is _ordinal in files",
    )
    target.add_argument(
        "--interval",
        type=seconds,
        metavar="SECONDS",
        help=f"between batches; default: {LINGER:g} into a table, {LINGER_OF_FILES:g} into files",
    )
    time = parser.add_argument_group("time", "Without a flag, the job runs until SIGTERM or Ctrl-C.")
    how_long = time.add_mutually_exclusive_group()
    how_long.add_argument("--once", action="store_true", help="copy what is there now, and end")
    how_long.add_argument("--for", dest="run_for", type=seconds, metavar="SECONDS", help="end after this time")
    manage_group = parser.add_argument_group("management of a capture, instead of reading it")
    what = manage_group.add_mutually_exclusive_group()
    what.add_argument("--status", action="store_true", help="show who reads it, who is running, and what is waiting")
    what.add_argument(
        "--drop", action="store_true", help="remove its triggers, function and tables, for all of its readers"
    )
    what.add_argument("--forget-reader", metavar="ID", help="keep no more changes for this reader")
    manage_group.add_argument("--force", action="store_true", help="drop or forget although a reader is running")
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def capture(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Do what the flags say, and print the result."""
    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    table = TableName.parse(options.table)
    if options.status:
        sys.stdout.write(status_text(manage.status(connection.settings, table, options.channel)))
    elif options.drop:
        dropped = manage.drop(connection.settings, table, options.channel, force=options.force)
        sys.stdout.write(f"dropped the capture {dropped.channel} of {dropped.table}\n")
    elif options.forget_reader:
        manage.forget(connection.settings, table, options.forget_reader, options.channel, force=options.force)
        sys.stdout.write(f"forgot the reader {options.forget_reader}\n")
    else:
        follow(options, connection.settings, environ, outcome)


def follow(options: argparse.Namespace, settings: Settings, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Carry over changes, and print the report."""
    job = CaptureJob(
        settings=settings,
        table=TableName.parse(options.table),
        into=TableName.parse(options.into) if options.into is not None else None,
        files=files_of(options),
        into_settings=connection_from(database_url=options.into_url, environ=environ) if options.into_url else None,
        channel=options.channel,
        columns=options.columns,
        filter=options.filter,
        seconds=0 if options.once else options.run_for,
        interval=options.interval if options.interval is not None else LINGER if options.into else LINGER_OF_FILES,
    )
    outcome.begin(lambda: datasets_of(job), table=str(job.table), target=job.goal)
    if job.files is None:
        with stopped_by_signals() as stop:
            report = run(job, stop)
    else:
        from jobs.flows.capture import files  # it imports Spark, which a copy and check_arguments do without

        spark = start_spark(f"pgjobs capture_changes {job.table}", options.verbose)
        with stopped_by_signals() as stop:
            report = files.run(job, stop, lambda: spark)
    outcome.succeed(report, lambda: datasets_of(job, report))


def datasets_of(job: CaptureJob, report: CaptureReport | None = None) -> Datasets:
    """Return what is read and written. A report knows the full names, and how many rows were written."""
    sources = datasets.table(job.settings, job.table if report is None else report.table)
    if job.files is not None:
        targets = datasets.files([job.files.path])
    else:
        name = job.goal if report is None else report.target
        targets = datasets.table(job.into_settings or job.settings, name)
    rows = None if report is None else report.rows_written
    return Datasets(sources, tuple(replace(target, rows=rows) for target in targets))


def files_of(options: argparse.Namespace) -> Files | None:
    """Return the files to write; None for a table."""
    if options.target is None:
        return None
    if not options.target.strip():
        raise UsageError("The target is empty.", "Give a folder, or check the variable that was to hold it.")
    file_format = options.format or FORMATS[0]
    return Files(
        options.target, file_format, parse_options(options.option, file_format), ordinal=options.ordinal_column
    )


def status_text(status: CaptureStatus) -> str:
    """Return what --status prints."""
    lines = [f"{status.table} is captured as {status.channel}; recorded changes take {readable_size(status.size)}"]
    if status.unarmed:
        lines.append(f"NOT RECORDED, for triggers are missing or disabled: {', '.join(status.unarmed)}")
    if not status.readers:
        return "\n".join([*lines, "it has no readers"]) + "\n"
    columns = ("reader", "writes", "process", "batches", "rows", "waiting", "lag (s)", "stored (s ago)")
    rows = [
        (
            reader.id,
            reader.label,
            reader.session or "not running",
            reader.number,
            reader.rows,
            reader.waiting,
            f"{reader.delay:.1f}",
            f"{reader.silent:.0f}",
        )
        for reader in status.readers
    ]
    return "\n".join([*lines, text_table(columns, rows, len(rows))]) + "\n"


@contextmanager
def stopped_by_signals() -> Iterator[Stop]:
    """Yield a request to stop, which SIGTERM and Ctrl-C make in the block. A second signal ends the job at once."""
    stop = Stop()

    def request(*_: object) -> None:
        if stop.wanted:
            interrupt()
        stop.request()

    handlers = {ending: signal.signal(ending, request) for ending in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for ending, handler in handlers.items():
            signal.signal(ending, handler)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
