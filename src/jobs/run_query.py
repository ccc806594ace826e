"""Run SQL in a PostgreSQL database once: one or more statements, their values bound, and a marker of the load id."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from jobs.cli.flags import (
    FORMATS,
    add_common_options,
    add_connection_options,
    add_lineage_options,
    add_marker_table,
    connection_of,
)
from jobs.cli.outcome import Outcome, outcome_of, subject_of
from jobs.cli.run import run_job, start_spark
from jobs.cli.text_table import text_table
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import WRITE_ONCE, Output, parse_options
from jobs.flows.query.job import QueryJob, run
from jobs.flows.query.report import QueryReport
from jobs.flows.sql_file import read_sql
from jobs.lineage import datasets
from jobs.lineage.datasets import Datasets

MOST_ROWS = 50
"""Rows of a result that are printed."""

EXAMPLES = """
examples:
  Totals of one day, in one transaction with the marker; a second run with this load id does nothing:
    run_query.py --sql-file totals.sql --param day=2026-11-20 --load-id totals/2026-11-20 --table sales.totals \\
      --service shop

  A question:
    run_query.py --sql "SELECT count(*) FROM sales.orders WHERE day = :day" --param day=2026-11-20 \\
      --load-id "$(uuidgen)" --service shop

  Rows that leave the database for files, exactly once; by spark-submit:
    run_query.py --sql "DELETE FROM sales.outbox RETURNING *" --target s3://bucket/outbox/2026-11-20/ \\
      --load-id outbox/2026-11-20 --service shop

  What cannot be part of a transaction:
    run_query.py --sql "VACUUM ANALYZE sales.orders" --autocommit --load-id vacuum/2026-11-20 --service shop

exit status: 0 run, or run before; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    subject = subject_of(options.table, options.sql if options.sql is not None else options.sql_file)
    outcome = outcome_of("run_query", options, environ, subject)
    return run_job(lambda: query(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: The command line is wrong, or asks for help.
        UsageError: An argument has a value that cannot be right.
    """
    options = parse(arguments)
    Ledger.parse(options.marker_table)
    if options.table is not None:
        TableName.parse(options.table)
    _output(options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.show_connection:
        if options.sql is None and options.sql_file is None:
            parser.error("one of the arguments --sql --sql-file is required")
        if options.load_id is None:
            parser.error("the following arguments are required: --load-id")
        if options.target is None and (options.format or options.write_mode or options.option):
            parser.error("--format, --write-mode and --option need --target")
        if options.target is not None and options.autocommit:
            parser.error("argument --autocommit: not allowed with argument --target")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="run_query.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    query = parser.add_argument_group("query")
    what = query.add_mutually_exclusive_group()
    what.add_argument("--sql", metavar="SQL", help="one or more statements; :name stands for a value")
    what.add_argument("--sql-file", metavar="PATH", help="a file with them, also on s3://")
    query.add_argument(
        "--param",
        action="append",
        type=_param,
        default=[],
        metavar="NAME=VALUE",
        help="the value of :name, which the server binds; repeat for more",
    )
    query.add_argument("--load-id", metavar="ID", help="names this run; a second run with this id does nothing")
    query.add_argument("--table", metavar="[SCHEMA.]TABLE", help="the table that the marker names")
    add_marker_table(query)
    query.add_argument(
        "--autocommit",
        action="store_true",
        help="each statement is a transaction of its own: for VACUUM, CREATE INDEX CONCURRENTLY and CALL. The marker "
        "follows them: a run that breaks in between is repeated as a whole",
    )
    _add_target_options(parser)
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def _add_target_options(parser: argparse.ArgumentParser) -> None:
    target = parser.add_argument_group("target", "Files for the rows of the last query. Without it, they are printed.")
    target.add_argument("--target", metavar="PATH", help="a folder or s3:// prefix; Spark writes it")
    target.add_argument("--format", choices=FORMATS, help="default: parquet")
    target.add_argument("--write-mode", choices=WRITE_ONCE, help="if the target exists; default: error")
    target.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of Spark's writer, such as header=true"
    )


def query(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Run the SQL, and print its result and the report."""
    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    outcome.begin(lambda: datasets_of(options, connection.settings), load_id=options.load_id)
    report = run(
        QueryJob(
            settings=connection.settings,
            sql=options.sql if options.sql is not None else read_sql(options.sql_file, environ),
            load_id=options.load_id,
            values=_values(options.param),
            table=TableName.parse(options.table) if options.table else None,
            autocommit=options.autocommit,
            ledger=Ledger.parse(options.marker_table),
            output=_output(options),
        ),
        lambda: start_spark(f"pgjobs run_query {options.load_id}", options.verbose),
    )
    outcome.succeed(report, lambda: datasets_of(options, connection.settings, report), answer(report))


def datasets_of(options: argparse.Namespace, settings: Settings, report: QueryReport | None = None) -> Datasets:
    """Return what is written: the table that the marker names, and files. What the SQL reads is not known."""
    named = "" if options.table is None else options.table if report is None else report.table
    files = datasets.files([options.target]) if options.target is not None else ()
    written = None if report is None else report.rows_written
    tables = datasets.table(settings, named) if named else ()
    return Datasets((), (*tables, *(replace(each, rows=written) for each in files)))


def answer(report: QueryReport) -> str:
    """Return what is printed: the result, if there is one, and the summary."""
    result = report.result
    table = "" if result is None else text_table(result.columns, result.rows, MOST_ROWS) + "\n\n"
    return f"{table}{report.summary()}\n"


def _output(options: argparse.Namespace) -> Output | None:
    if options.target is None:
        return None
    file_format = options.format or "parquet"
    return Output.of(
        options.target, file_format, options.write_mode or "error", parse_options(options.option, file_format)
    )


def _param(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _values(params: Sequence[tuple[str, str]]) -> dict[str, str]:
    values = dict(params)
    if len(values) < len(params):
        names = [name for name, _ in params]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"--param gives {', '.join(twice)} more than once.", "Give each value once.")
    return values


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
