"""Compare files, or another table, with a PostgreSQL table by key: find missing, extra and different rows."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from pyspark.sql import SparkSession

from jobs.cli.flags import (
    FORMATS,
    add_common_options,
    add_connection_options,
    add_lineage_options,
    at_least_one,
    connection_of,
    warn_of_password,
)
from jobs.cli.load_of import OF_FILES, check_source, source_of
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.sql import TableName
from jobs.flows.compare import CompareJob, CompareReport, Comparison, compared, report
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.plan import Wanted
from jobs.flows.load.files import Rows, malformed_translated, selected
from jobs.flows.load.sources import check, read
from jobs.flows.report import SourceTable, Stopwatch
from jobs.lineage import datasets
from jobs.lineage.datasets import Datasets

DIFFERENT = 3
"""The exit status where keys differ."""

EXAMPLES = """
examples:
  Does the table hold a day of files?
    spark-submit compare_table.py --source s3://bucket/orders/day=2026-11-20/ --table sales.orders --keys id \\
      --filter "day = '2026-11-20'" --service shop

  A table of Spark's catalogs, also of Iceberg or Delta, with what was loaded from it:
    spark-submit compare_table.py --source-table lake.sales.orders --table sales.orders --keys id --service shop

  A table of one server with its copy on another, one key in a hundred, with the differences in files:
    spark-submit compare_table.py --source-url postgresql://me@old/shop --table sales.orders --keys id \\
      --sample 0.01 --differences differences/ --database-url postgresql://me@new/shop

exit status: 0 equal; 3 keys differ; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    reports: list[CompareReport] = []
    outcome = outcome_of("compare_table", options, environ, options.table)
    status = run_job(lambda: reports.extend(compare(options, environ, outcome)), options.verbose, outcome.fail)
    return DIFFERENT if any(not finished.equal for finished in reports) else status


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.show_connection:
        if options.source is None and options.source_url is None and options.source_table is None:
            parser.error("one of the arguments --source --source-table --source-url is required")
        if options.source is not None and options.source_table is not None:
            parser.error("argument --source-table: not allowed with argument --source")
        for flag in ("source_version", *OF_FILES) if options.source_url is not None else ():
            if getattr(options, flag):
                name = flag.replace("_", "-")
                parser.error(f"argument --{name}: not allowed with argument --source-url")
        missing = [flag for flag in ("table", "keys") if getattr(options, flag) is None]
        if missing:
            parser.error(f"the following arguments are required: {', '.join(f'--{flag}' for flag in missing)}")
    return options


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="compare_table.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("source: the rows that the table should hold")
    what = source.add_mutually_exclusive_group()
    what.add_argument("--source", nargs="+", metavar="PATH", help="files, folders or s3:// prefixes")
    what.add_argument("--source-url", metavar="URL", help="another server's table: postgresql://user@host/dbname")
    source.add_argument(
        "--source-table",
        metavar="NAME",
        help="[catalog.]database.table: a table or view of Spark's catalogs, also of Iceberg or Delta; with "
        "--source-url, [schema.]table: its name there, by default that of --table",
    )
    source.add_argument(
        "--source-version",
        metavar="N",
        default="",
        help="of a table of the catalogs: this snapshot of Iceberg, or version of Delta; default: the current one",
    )
    source.add_argument("--format", choices=FORMATS, help="of files; default: parquet")
    source.add_argument("--option", action="append", default=[], metavar="K=V", help="an option of Spark's reader")
    source.add_argument("--schema", metavar="DDL", default="", help="columns and types of csv and json")
    source.add_argument("--select", metavar="SQL", help="a query over the view `source`: choose, rename, cast")
    table = parser.add_argument_group("the table")
    table.add_argument("--table", metavar="[SCHEMA.]TABLE", help="names are taken as written")
    table.add_argument("--keys", metavar="A,B", help="the columns that identify a row")
    table.add_argument(
        "--filter",
        metavar="SQL",
        default="",
        help="compare only the rows for which this expression is true; it becomes part of statements",
    )
    table.add_argument(
        "--sample", type=float, default=1.0, metavar="SHARE", help="compare this share of the keys, such as 0.01"
    )
    table.add_argument("--parallelism", type=at_least_one, metavar="N", help="connections at once; default: by size")
    output = parser.add_argument_group("differences")
    output.add_argument("--differences", metavar="PATH", help="write each key that differs to this folder, as Parquet")
    output.add_argument(
        "--show", type=int, default=10, metavar="N", help="print at most this many of the keys; default: 10"
    )
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def compare(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> list[CompareReport]:
    """Compare, and print the report. --show-connection compares nothing, and gives no report."""
    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return []
    job = CompareJob(
        table=TableName.parse(options.table),
        settings=connection.settings,
        keys=tuple(options.keys.split(",")),
        filter=options.filter,
        sample=options.sample,
        parallelism=options.parallelism,
    )
    job.check()
    outcome.begin(lambda: datasets_of(options, job.settings), table=str(job.table))
    if options.source_url is None:
        check_source(options)
        check(source_of(options))
    watch = Stopwatch()
    with malformed_translated(), ExitStack() as stack:
        session = stack.enter_context(job.connector.open())
        spark = start_spark(f"pgjobs compare_table {job.table}", options.verbose)
        source = _source(options, environ, spark, stack)
        comparison = stack.enter_context(compared(source.df, session, job))
        lines = _show(comparison, options)
        finished = replace(report(comparison, job, watch), source_table=source.table)
    outcome.succeed(
        finished,
        lambda: datasets_of(options, job.settings, source.table),
        "\n".join([finished.summary(), *lines]) + "\n",
    )
    return [finished]


def datasets_of(options: argparse.Namespace, settings: Settings, read: SourceTable | None = None) -> Datasets:
    """Return what is read and written. Another server's table is not named: its address is known when it is read."""
    sources = datasets.files(options.source or (() if read is None else read.places))
    differences = datasets.files([options.differences]) if options.differences is not None else ()
    return Datasets((*sources, *datasets.table(settings, options.table)), differences)


def _source(options: argparse.Namespace, environ: Mapping[str, str], spark: SparkSession, stack: ExitStack) -> Rows:
    """Return the rows that the table should hold. The stack holds the snapshot of another server's table."""
    if options.source_url is None:
        return read(spark, source_of(options))
    table = TableName.parse(options.source_table or options.table)
    warn_of_password("--source-url", options.source_url, "use ~/.pgpass or PGPASSWORD")
    connector = Connector(resolve(Given(url=options.source_url), environ).settings, "compare", str(table))
    session = stack.enter_context(connector.open())
    wanted = Wanted(table, filter=options.filter, parallelism=options.parallelism)
    df = stack.enter_context(extracting(spark, session, connector, wanted)).df
    return Rows(selected(df, options.select or ""))


def _show(comparison: Comparison, options: argparse.Namespace) -> list[str]:
    """Write the keys that differ if --differences asks for it, and return --show of them as lines."""
    if options.differences is not None:
        comparison.differences.write.mode("errorifexists").parquet(options.differences)
    lines = []
    for row in comparison.differences.limit(options.show).collect():
        *key, kind, columns = row
        where = f" in {', '.join(columns)}" if columns else ""
        lines.append(f"  {kind}{where}: {', '.join(map(str, key))}")
    return lines


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
