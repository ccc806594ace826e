"""Extract PostgreSQL tables or a query into files: in parallel and from one snapshot, all rows or the new ones."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from jobs.cli.flags import (
    FORMATS,
    add_common_options,
    add_connection_options,
    add_lineage_options,
    at_least_one,
    connection_of,
    names,
)
from jobs.cli.outcome import Outcome, outcome_of, subject_of
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.extract.table_patterns import TablePattern
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import parse_options
from jobs.lineage import datasets
from jobs.lineage.datasets import Dataset, Datasets

if TYPE_CHECKING:
    from jobs.flows.extract.job import ExtractReport
    from jobs.flows.extract.tables_job import TablesReport

EXAMPLES = """
examples:
  A table as Parquet, read over eight connections from one snapshot:
    spark-submit extract_table.py --table sales.orders --target s3://bucket/orders/2026-11-20/ \\
      --parallelism 8 --host db.example.com --dbname shop --user reader

  All tables of a schema but some, in one snapshot, each into a folder of its own (shop/sales/orders/, ...):
    spark-submit extract_table.py --tables 'sales.*' --exclude-tables 'sales.*_old' \\
      --target s3://bucket/shop/ --service shop

  A query, divided into parts by a key:
    spark-submit extract_table.py --query "SELECT id, total FROM sales.orders WHERE total > 100" --split-by id \\
      --target orders.csv --format csv --option header=true --write-mode overwrite --service shop

  The rows that are new since the last run, each run in a folder of its own:
    spark-submit extract_table.py --table sales.orders --target s3://bucket/orders/ --write-mode append \\
      --watermark-id orders-lake --ordinal-column updated_at --service shop

  The same without an ordinal column, and also which rows were deleted:
    spark-submit extract_table.py --table sales.orders --target s3://bucket/orders/ --write-mode append \\
      --watermark-id orders-lake --deletes --service shop

exit status: 0 extracted; 2 wrong usage; 1 anything else
"""


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the job, and return its exit status."""
    options = parse(arguments)
    outcome = outcome_of(
        "extract_table", options, environ, subject_of(options.table or ",".join(options.tables), options.query)
    )
    return run_job(lambda: extract(options, environ, outcome), options.verbose, outcome.fail)


def check_arguments(arguments: Sequence[str]) -> None:
    """Check the arguments without Spark and without a database. `pgjobs submit` does so before it starts a run.

    Raises:
        SystemExit: the command line is wrong, or asks for help.
        UsageError: an argument has a value that cannot be right.
    """
    options = parse(arguments)
    parse_options(options.option, options.format)
    if options.table is not None:
        TableName.parse(options.table)
    for pattern in (*options.tables, *options.exclude_tables):
        TablePattern.parse(pattern)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    if not options.show_connection:
        if options.table is None and options.query is None and not options.tables:
            parser.error("one of the arguments --table --tables --query is required")
        if options.target is None:
            parser.error("the following arguments are required: --target")
    if options.tables:
        _refuse_others(parser, options)
    elif options.exclude_tables:
        parser.error("argument --exclude-tables: only allowed with argument --tables")
    return options


_OF_ONE_TABLE = (
    *("columns", "filter", "split_by", "text_columns"),
    *("watermark_id", "ordinal_column", "deletes", "restart_watermark"),
)
"""Flags that say something of one table."""


def _refuse_others(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the process if a flag of one table was given for many."""
    for name in _OF_ONE_TABLE:
        if getattr(options, name) != parser.get_default(name):
            parser.error(f"argument --{name.replace('_', '-')}: not allowed with argument --tables")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False,
        prog="extract_table.py",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_argument_group("source")
    what = source.add_mutually_exclusive_group()
    what.add_argument("--table", metavar="[SCHEMA.]TABLE", help="names are taken as written")
    what.add_argument(
        "--tables",
        nargs="+",
        default=(),
        metavar="PATTERN",
        help="all tables that match, such as 'sales.*': each into its folder below the target",
    )
    what.add_argument("--query", metavar="SQL", help="one SELECT")
    source.add_argument(
        "--exclude-tables", nargs="+", default=(), metavar="PATTERN", help="but not these; for --tables"
    )
    source.add_argument("--columns", type=names, default=(), metavar="A,B", help="extract these columns only")
    source.add_argument(
        "--filter",
        metavar="SQL",
        default="",
        help="extract only the rows for which this expression is true; it becomes part of statements",
    )
    source.add_argument(
        "--require-primary-key",
        action="store_true",
        help="refuse a table without a primary key; extract the key's columns in any case",
    )
    source.add_argument("--split-by", default="", metavar="COLUMN", help="divide into parts by ranges of this column")
    source.add_argument(
        "--parallelism",
        type=at_least_one,
        metavar="N",
        help="the number of parts, and so of connections; default: by size",
    )
    source.add_argument(
        "--text-columns", type=names, default=(), metavar="A,B", help="extract these columns as PostgreSQL's text"
    )
    source.add_argument(
        "--unbounded-numeric",
        default="text",
        metavar="AS",
        help="numeric without precision: text (default), fit, or decimal(P,S)",
    )
    newer = parser.add_argument_group("incremental extracts")
    newer.add_argument(
        "--watermark-id", default="", metavar="ID", help="names the watermark: what earlier runs have extracted"
    )
    newer.add_argument(
        "--ordinal-column", default="", metavar="C", help="an integer or timestamp that each update increases"
    )
    newer.add_argument(
        "--deletes",
        action="store_true",
        help="also find deletes: a column _op has U for new rows and D for deleted ones; reads the keys of all rows",
    )
    newer.add_argument(
        "--restart-watermark",
        action="store_true",
        help="extract all rows again, for example because the table, --columns or --filter changed",
    )
    target = parser.add_argument_group("target")
    target.add_argument("--target", metavar="PATH", help="a folder or s3:// prefix")
    target.add_argument("--format", choices=FORMATS, default="parquet", help="default: parquet")
    target.add_argument(
        "--write-mode",
        choices=("error", "append", "overwrite"),
        default="error",
        help="default: error",
    )
    target.add_argument(
        "--option", action="append", default=[], metavar="K=V", help="an option of Spark's writer, such as header=true"
    )
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def extract(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Extract, and print the report."""
    from jobs.flows.extract.job import FilesJob, run  # it imports Spark, which check_arguments does without
    from jobs.flows.extract.plan import Wanted

    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    if options.tables:
        _extract_tables(options, connection.settings, outcome)
        return
    wanted = Wanted(
        table=TableName.parse(options.table) if options.table else None,
        query=options.query,
        columns=options.columns,
        filter=options.filter,
        split_by=options.split_by,
        text_columns=options.text_columns,
        unbounded=options.unbounded_numeric,
        require_primary_key=options.require_primary_key,
        parallelism=options.parallelism,
    )
    job = FilesJob(
        wanted=wanted,
        settings=connection.settings,
        target=options.target,
        file_format=options.format,
        write_mode=options.write_mode,
        writer_options=parse_options(options.option, options.format),
        ordinal_column=options.ordinal_column,
        watermark_id=options.watermark_id,
        restart_watermark=options.restart_watermark,
        deletes=options.deletes,
    )
    outcome.begin(lambda: datasets_of(options, job.settings), source=str(wanted), target=options.target)
    report = run(job, lambda: start_spark(f"pgjobs extract_table {wanted}", options.verbose))
    outcome.succeed(report, lambda: datasets_of(options, job.settings, report))


def _extract_tables(options: argparse.Namespace, settings: Settings, outcome: Outcome) -> None:
    from jobs.flows.extract.tables_job import TablesJob, run  # see `extract`
    from jobs.flows.extract.tables_plan import WantedTables

    wanted = WantedTables(
        patterns=tuple(options.tables),
        excluded=tuple(options.exclude_tables),
        unbounded=options.unbounded_numeric,
        require_primary_key=options.require_primary_key,
        parallelism=options.parallelism,
    )
    job = TablesJob(
        wanted=wanted,
        settings=settings,
        target=options.target,
        file_format=options.format,
        write_mode=options.write_mode,
        writer_options=parse_options(options.option, options.format),
    )
    outcome.begin(lambda: datasets_of(options, settings), source=str(wanted), target=options.target)
    report = run(job, lambda: start_spark(f"pgjobs extract_table {wanted}", options.verbose))
    outcome.succeed(report, lambda: _datasets_of_tables(settings, report))


def _datasets_of_tables(settings: Settings, report: TablesReport) -> Datasets:
    """Return what was read and written, table by table."""
    each = [
        _datasets(datasets.table(settings, one.relation), datasets.files([one.target]), one) for one in report.tables
    ]
    return Datasets(
        tuple(source for one in each for source in one.inputs), tuple(target for one in each for target in one.outputs)
    )


def datasets_of(options: argparse.Namespace, settings: Settings, report: ExtractReport | None = None) -> Datasets:
    """Return what is read and written. A report knows how much, and the schema. Tables in a query are not known."""
    table = options.table if report is None else report.relation
    sources = datasets.table(settings, table) if table else ()
    targets = datasets.files([options.target])
    if report is None:
        return Datasets(sources, targets)
    return _datasets(sources, targets, report)


def _datasets(sources: tuple[Dataset, ...], targets: tuple[Dataset, ...], report: ExtractReport) -> Datasets:
    """Return datasets with what a report knows of them."""
    names, columns = tuple((name, "") for name in report.columns), tuple(report.columns.items())
    return Datasets(
        tuple(replace(each, columns=names, rows=report.rows, size=report.bytes) for each in sources),
        tuple(replace(each, columns=columns, rows=report.rows + (report.deletes or 0)) for each in targets),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
