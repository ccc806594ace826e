"""Copy a table from one PostgreSQL server into a table of another: all rows or none, and once for a load id.

The text of COPY goes from server to server as it is, in parts of one snapshot. Only --select needs Spark.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.cli.flags import (
    add_common_options,
    add_connection_options,
    add_lineage_options,
    at_least_one,
    connection_of,
    names,
    warn_of_password,
)
from jobs.cli.load_flags import add_run_options
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.run import interrupt, run_job, start_spark
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.modes import SKIPPING, Move
from jobs.dbaccess.sql import TableName
from jobs.lineage import datasets
from jobs.lineage.datasets import Datasets

if TYPE_CHECKING:
    from jobs.flows.table_copy.job import CopyJob
    from jobs.flows.table_copy.report import CopyReport

EXAMPLES = """
examples:
  A table of one server into a table of the same name on another, which is created if it is missing:
    copy_table.py --source-url postgresql://reader@old/shop --table sales.orders --load-id orders/copy/1 \\
      --database-url postgresql://loader@new/shop

  Some columns of the rows of a day, into rows that may be there already:
    copy_table.py --source-service old --table sales.orders --columns id,day,total --filter "day = '2026-11-20'" \\
      --mode upsert --keys id --load-id orders/2026-11-20 --service new

  With work for Spark on the way:
    spark-submit copy_table.py --source-url postgresql://reader@old/shop --table sales.totals \\
      --source-table sales.orders --select "SELECT day, sum(total) AS total FROM source GROUP BY day" \\
      --mode overwrite --load-id totals/2026-11-20 --service new

exit status: 0 copied, or copied before; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    outcome = outcome_of("copy_table", options, environ, options.table)
    return run_job(lambda: copy(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without Spark and without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: the command line is wrong, or asks for help.
        UsageError: an argument has a value that cannot be right.
    """
    options = parse(arguments)
    TableName.parse(options.table)
    TableName.parse(options.source_table or options.table)
    combinations.check(move_of(options))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.show_connection:
        if options.source_url is None and options.source_service is None and options.source_connection is None:
            parser.error("one of the arguments --source-url --source-connection --source-service is required")
        if options.table is None:
            parser.error("the following arguments are required: --table")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="copy_table.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source_options(parser.add_argument_group("source: the other server"))
    target = parser.add_argument_group("target")
    target.add_argument("--table", metavar="[SCHEMA.]TABLE", help="names are taken as written")
    target.add_argument("--mode", choices=("append", "overwrite", "upsert"), default="append", help="default: append")
    target.add_argument("--keys", type=names, default=(), metavar="A,B", help="the columns that identify a row")
    target.add_argument(
        "--skip-unchanged",
        choices=SKIPPING,
        default="auto",
        help="whether an upsert leaves alone the table's rows that are equal already; auto decides by a sample",
    )
    target.add_argument(
        "--create",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="create the table if it does not exist, with the types, NOT NULLs and primary key of the source",
    )
    target.add_argument(
        "--verify",
        action="store_true",
        help="compare the table's rows with what the source has written, before the commit",
    )
    add_run_options(target)
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def _add_source_options(group: argparse._ArgumentGroup) -> None:
    whole = group.add_mutually_exclusive_group()
    whole.add_argument("--source-url", metavar="URL", help="its connection: postgresql://user@host/dbname")
    whole.add_argument("--source-connection", metavar="ID", help="an Airflow connection: AIRFLOW_CONN_<ID>")
    whole.add_argument("--source-service", metavar="NAME", help="a service of libpq's service file")
    group.add_argument("--source-table", metavar="[SCHEMA.]TABLE", help="its name there; default: that of --table")
    group.add_argument("--columns", type=names, default=(), metavar="A,B", help="copy these columns only")
    group.add_argument(
        "--filter",
        metavar="SQL",
        default="",
        help="copy only the rows for which this expression is true; it becomes part of statements",
    )
    group.add_argument("--split-by", default="", metavar="COLUMN", help="divide into parts by ranges of this column")
    group.add_argument(
        "--parallelism",
        type=at_least_one,
        metavar="N",
        help="the number of parts, and so of connections to each server; default: by size",
    )
    group.add_argument("--select", metavar="SQL", help="a query of Spark over the view `source`; needs Spark")


def copy(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Copy, and print the report."""
    from jobs.flows.table_copy import through_spark  # see `_job`
    from jobs.flows.table_copy.job import run

    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    warn_of_password("--source-url", options.source_url, "use --source-connection, --source-service or ~/.pgpass")
    given = Given(url=options.source_url, connection=options.source_connection, service=options.source_service)
    job = _job(options, resolve(given, environ).settings, connection.settings)
    job.check()
    load = job.load
    outcome.begin(lambda: _datasets(options, job), load_id=load.load_id, table=str(load.table), mode=options.mode)
    if options.select is not None:
        name = f"pgjobs copy_table {load.table}"
        report = through_spark.run(job, options.select, lambda: start_spark(name, options.verbose))
    else:
        for ending in (signal.SIGINT, signal.SIGTERM):  # so that staging is dropped
            signal.signal(ending, interrupt)
        report = run(job)
    outcome.succeed(report, lambda: _datasets(options, job, report))


def move_of(options: argparse.Namespace) -> Move:
    """Return how the options move rows."""
    return Move(options.mode, (), options.keys, skip_unchanged=options.skip_unchanged)


def _job(options: argparse.Namespace, source: Settings, target: Settings) -> CopyJob:
    from jobs.dbaccess.load.copying.direct import STAGED
    from jobs.flows.extract.plan import Wanted
    from jobs.flows.load.job import LoadJob, new_load_id
    from jobs.flows.table_copy.job import CopyJob  # these import PySpark, which check_arguments does without

    wanted = Wanted(
        table=TableName.parse(options.source_table or options.table),
        columns=options.columns,
        filter=options.filter,
        split_by=options.split_by,
        parallelism=options.parallelism,
    )
    load = LoadJob(
        table=TableName.parse(options.table),
        settings=target,
        load_id=new_load_id() if options.load_id is None else options.load_id,
        move=move_of(options),
        create=options.create,
        wait_for_load=options.wait_for_load,
        verify=options.verify,
        ledger=Ledger.parse(options.marker_table),
        lock_timeout=options.lock_timeout,
        publish=STAGED,
    )
    return CopyJob(wanted, source, load)


def _datasets(options: argparse.Namespace, job: CopyJob, report: CopyReport | None = None) -> Datasets:
    """Return what is read and written, as far as it is known."""
    sources = datasets.table(job.source, job.wanted.table or options.table)
    return Datasets(sources, datasets.table(job.load.settings, options.table if report is None else report.table))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
