"""Load several tables, and publish them in one transaction: all rows of all tables or none, and once for a load id."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.cli.flags import add_common_options, add_connection_options, add_lineage_options, connection_of
from jobs.cli.lineage_of import of_load
from jobs.cli.load_flags import add_pace_options, add_run_options
from jobs.cli.load_of import job_of, source_of
from jobs.cli.manifest import Entry, read_manifest
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.sql import TableName
from jobs.lineage.datasets import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.flows.load.files import Rows
    from jobs.flows.load.job import LoadJob
    from jobs.flows.load.together.job import Release
    from jobs.flows.load.together.report import ReleaseReport


EXAMPLES = """
a manifest, in TOML; the names are those of load_table.py's flags:
    format = "parquet"                        # for all tables

    [[tables]]
    table = "sales.customers"
    source = "s3://bucket/customers/2026-11-20/"
    mode = "overwrite"

    [[tables]]
    table = "sales.orders"
    source = ["s3://bucket/orders/day=2026-11-19/", "s3://bucket/orders/day=2026-11-20/"]
    mode = "upsert"
    keys = ["id"]

    [[tables]]
    table = "sales.prices"
    source-table = "lake.sales.prices"        # of Spark's catalogs
    mode = "overwrite"

examples:
  Both tables in one transaction, customers first if orders refer to them; safe to run again:
    spark-submit load_release.py --manifest release.toml --load-id release/2026-11-20 --service shop

  What it would do, and in which order:
    spark-submit load_release.py --manifest s3://bucket/release.toml --dry-run --service shop

exit status: 0 loaded, or loaded before; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    outcome = outcome_of("load_release", options, environ, Path(options.manifest or "").stem)
    return run_job(lambda: load(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without Spark and without a database. `pgjobs submit` does so before it starts a run.

    A manifest is checked if it is a file that is here.

    Raises:
        SystemExit: The command line is wrong, or asks for help.
        UsageError: An argument has a value that cannot be right.
    """
    options = parse(arguments)
    Ledger.parse(options.marker_table)
    if options.manifest is not None and Path(options.manifest).is_file():
        read_manifest(options.manifest, {}, options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if options.manifest is None and not options.show_connection:
        parser.error("the following arguments are required: --manifest")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="load_release.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("release")
    group.add_argument(
        "--manifest", metavar="PATH", help="a file that names the tables, as TOML or JSON, also on s3://; see below"
    )
    add_run_options(group)
    group.add_argument(
        "--show-values",
        action="store_true",
        help="show the value of a row that the server refuses in the error, and so in logs",
    )
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print what the release would do (order, columns, parts, statements, locks), and load nothing",
    )
    add_pace_options(parser)
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def load(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Load, and print the report; or print the plan."""
    # They import Spark, which check_arguments does without.
    from jobs.flows.load.files import malformed_translated
    from jobs.flows.load.job import new_load_id
    from jobs.flows.load.together import job, outlook

    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    options.load_id = new_load_id() if options.load_id is None else options.load_id
    settings = connection.settings
    entries = read_manifest(options.manifest, environ, options)

    @lru_cache(maxsize=1)
    def start() -> SparkSession:
        return start_spark(f"pgjobs load_release {options.manifest}", options.verbose)

    release = _release_of(entries, environ, settings, start)
    outcome.begin(lambda: _datasets(entries, settings), load_id=options.load_id, manifest=options.manifest)
    with malformed_translated():
        if options.dry_run:
            outcome.succeed(outlook.plan(release), Datasets)
            return
        report = job.run(release)
    outcome.succeed(report, lambda: _datasets(entries, settings, report))


def _release_of(
    entries: Sequence[Entry], environ: Mapping[str, str], settings: Settings, start: Callable[[], SparkSession]
) -> Release:
    """Return the release that a manifest describes.

    Raises:
        UsageError: Values do not fit together, or a file of SQL cannot be read.
    """
    from jobs.flows.load.together.job import Member, Release

    jobs = [job_of(entry.options, environ, settings) for entry in entries]
    return Release(tuple(Member(job, _reader(entry, job, start)) for entry, job in zip(entries, jobs)))


def _reader(entry: Entry, job: LoadJob, start: Callable[[], SparkSession]) -> Callable[[], Rows]:
    """Return a function that reads the rows of a table. Spark is not started before it is called.

    Raises:
        UsageError: An option of the files, or the name of a table, is wrong.
    """
    from jobs.flows.load import sources
    from jobs.flows.load.files import Rows

    if entry.query:
        return lambda: Rows(start().sql(_only_read(entry.query)))
    given = source_of(entry.options)
    sources.check(given)
    return lambda: sources.read(start(), given, quarantines=job.policy.quarantines)


def _only_read(query: str) -> str:
    """Return a query as one that Spark does not even parse if it is a command: `sql` would run that at once."""
    return f"SELECT * FROM (\n{query.rstrip().rstrip(';')}\n)"


def _datasets(entries: Sequence[Entry], settings: Settings, report: ReleaseReport | None = None) -> Datasets:
    """Return what is read and written, of all tables."""
    reports = [None if report is None else report.of(TableName.parse(entry.options.table)) for entry in entries]
    found = [of_load(entry.options, settings, of_table) for entry, of_table in zip(entries, reports)]
    return Datasets(
        tuple(dict.fromkeys(one for datasets in found for one in datasets.inputs)),
        tuple(dict.fromkeys(one for datasets in found for one in datasets.outputs)),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
