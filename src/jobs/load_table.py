"""Load files, or a table of Spark's catalogs, into a PostgreSQL table: all rows or none, and once for a load id."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.cli.flags import add_common_options, add_connection_options, add_lineage_options, connection_of
from jobs.cli.lineage_of import of_load
from jobs.cli.load_flags import add_load_options
from jobs.cli.load_of import check_options, job_of, source_of
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.followed.decision import FLAG, FULL, folder_of
from jobs.dbaccess.load.rejects.policy import QUARANTINE
from jobs.lineage.datasets import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


EXAMPLES = """
examples:
  A day of Parquet files, safe to run again:
    spark-submit load_table.py --source s3://bucket/orders/day=2026-11-20/ \\
      --table sales.orders --load-id orders/2026-11-20 \\
      --host db.example.com --dbname shop --user loader

  CSV with a header, some of its columns, renamed and cast:
    spark-submit load_table.py --source trips.csv --format csv --option header=true \\
      --select "SELECT id, CAST(fare AS decimal(8,2)) AS price FROM source" \\
      --table trips --database-url postgresql://me@localhost/demo

  A table of a catalog, also of Iceberg or Delta, as it is when the load begins:
    spark-submit load_table.py --source-table lake.sales.orders --select "SELECT * FROM source WHERE year = 2026" \\
      --table sales.orders --mode overwrite --load-id orders/2026-11-20 --service shop

  What changed there since the last load, deletes included:
    spark-submit load_table.py --source-table lake.sales.orders --changes-since-ledger --mode upsert --keys id \\
      --table sales.orders --load-id orders/2026-11-20 --service shop

  Changed rows into a table with a unique index on (id), the newest of each:
    spark-submit load_table.py --source s3://bucket/changes/2026-11-20/ --table sales.orders \\
      --mode upsert --keys id --dedupe-order "updated_at desc" --load-id changes/2026-11-20 --secret-id shop/loader

  Changes that a capture or a source tells, with deletes, the last one of each key:
    spark-submit load_table.py --source s3://bucket/changes/2026-11-20/ --table sales.orders \\
      --mode upsert --keys id --delete-when "op = 'D'" --order-by changed_at --load-id changes/2026-11-20 --service shop

  Customers as of a day, beside all that they were before:
    spark-submit load_table.py --source s3://bucket/customers/2026-11-20/ --table dim.customers \\
      --mode history --keys id --as-of 2026-11-20T00:00:00Z --delete-missing \\
      --load-id customers/2026-11-20 --service shop

  A day that replaces the same day of the table:
    spark-submit load_table.py --source s3://bucket/orders/day=2026-11-20/ --table sales.orders \\
      --mode overwrite --overwrite-where "day = '2026-11-20'" --load-id orders/2026-11-20/2 --service shop

  The same where the table is partitioned by day: the new partition is built beside the old one:
    spark-submit load_table.py --source s3://bucket/orders/day=2026-11-20/ --table sales.orders \\
      --mode replace-partitions --load-id orders/2026-11-20/3 --service shop

  A rolling window of 30 days, moved in the transaction that publishes the load:
    spark-submit load_table.py --source s3://bucket/orders/day=2026-11-20/ --table sales.recent \\
      --before-sql "DELETE FROM sales.recent WHERE day <= DATE '2026-11-20' - 30" \\
      --load-id recent/2026-11-20 --service shop

exit status: 0 loaded, or loaded before; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    outcome = outcome_of("load_table", options, environ, options.table)
    return run_job(lambda: load(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without Spark and without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: the command line is wrong, or asks for help.
        UsageError: an argument has a value that cannot be right.
    """
    options = parse(arguments)
    _check_replay(options)
    _check_following(options)
    check_options(options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.show_connection:
        return options
    if options.replay is None and options.source is None and options.source_table is None:
        parser.error("one of the arguments --source --source-table is required")
    if options.table is None:
        parser.error("the following arguments are required: --table")
    return options


def _check_replay(options: argparse.Namespace) -> None:
    """Check that --replay fits the other flags.

    Raises:
        UsageError: It does not.
    """
    if options.replay is None:
        return
    if any(value is not None for value in (options.source, options.source_table, options.select)):
        raise UsageError(
            "--replay loads rows of <table>_rejects, and no others.", "Leave out --source, --source-table and --select."
        )
    if options.on_error != QUARANTINE:
        raise UsageError(
            "--replay goes with --on-error quarantine.", "Give it: what is rejected again remains in <table>_rejects."
        )
    if options.dry_run:
        raise UsageError("--dry-run shows no plan of --replay.", "Leave one of them out.")


def _check_following(options: argparse.Namespace) -> None:
    """Check that --changes-since-ledger fits the other flags.

    Raises:
        UsageError: It does not.
    """
    if options.changes_since_ledger is None:
        return
    if options.replay is not None:
        raise UsageError(f"--replay loads rows of <table>_rejects, and {FLAG} those of a source.", "Leave one out.")
    if options.dry_run:
        raise UsageError(
            f"--dry-run shows no plan of {FLAG}: what is new is known when it runs.", "Leave one of them out."
        )
    if options.source_version:
        raise UsageError(f"{FLAG} leads to the current version of the table.", "Leave out --source-version.")
    if options.source is not None:
        folder_of(options.source)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="load_table.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_load_options(parser)
    parser.add_argument(
        "--replay",
        metavar="LOAD_ID",
        help="in place of a source: load what this load has put into <table>_rejects, after it was repaired there",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what the load would do (columns, statements, locks, parts, connections), and load nothing",
    )
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def load(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Load, and print the report; or print the plan."""
    # They import Spark, which check_arguments does without.
    from jobs.flows.load import sources
    from jobs.flows.load.bad_rows.replay import replay
    from jobs.flows.load.dry_run import foresee
    from jobs.flows.load.feeds import loads

    _check_replay(options)
    _check_following(options)
    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    job = job_of(options, environ, connection.settings)

    def start() -> SparkSession:
        return start_spark(f"pgjobs load_table {options.table}", options.verbose)

    outcome.begin(lambda: of_load(options, job.settings), load_id=job.load_id, table=str(job.table), mode=options.mode)
    if options.dry_run:
        outcome.succeed(foresee.plan(job, source_of(options), start), Datasets)
        return
    if options.replay is not None:
        report = replay(job, options.replay, start)
    elif options.changes_since_ledger is not None:
        full = options.changes_since_ledger == FULL
        report = loads.load_changes(job, source_of(options), start, full=full)
    else:
        report = sources.load(job, source_of(options), start)
    outcome.succeed(report, lambda: of_load(options, job.settings, report))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
