"""Load files that Spark reads into a PostgreSQL table: all rows or none, and once for a load id."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from jobs.cli.flags import (
    FORMATS,
    add_common_options,
    add_connection_options,
    add_lineage_options,
    add_marker_table,
    at_least_one,
    connection_of,
)
from jobs.cli.lineage_of import of_load
from jobs.cli.outcome import Outcome, outcome_of
from jobs.cli.quantities import byte_rate, duration
from jobs.cli.run import run_job, start_spark
from jobs.dbaccess import locks
from jobs.dbaccess.conninfo.settings import Settings
from jobs.dbaccess.load import scripts
from jobs.dbaccess.load.definitions import COLUMN_TYPE, INDEX, METADATA, Definition, check_indexes
from jobs.dbaccess.load.definitions import check as check_definitions
from jobs.dbaccess.load.definitions import parse as parse_definitions
from jobs.dbaccess.load.direct import AUTO, PARTS, PUBLISHING, check_parts
from jobs.dbaccess.load.ledger import Ledger
from jobs.dbaccess.load.move.modes import MODES, SKIPPING, STRATEGIES, Move, parse_order
from jobs.dbaccess.sql import TableName
from jobs.flows.file_options import mode_of, parse_options
from jobs.flows.sql_file import read_sql
from jobs.lineage.datasets import Datasets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from jobs.flows.load.files import Files
    from jobs.flows.load.job import LoadJob

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

  Changed rows into a table with a unique index on (id), the newest of each:
    spark-submit load_table.py --source s3://bucket/changes/2026-11-20/ --table sales.orders \\
      --mode upsert --keys id --dedupe-order "updated_at desc" --load-id changes/2026-11-20 --secret-id shop/loader

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
    check_options(parse(arguments))


def check_options(options: argparse.Namespace) -> None:
    """Check the options likewise.

    Raises:
        UsageError: An option has a value that cannot be right.
    """
    mode_of(parse_options(options.option, options.format))
    Ledger.parse(options.marker_table)
    _definitions(options)
    check_indexes(options.index)
    if options.table is not None:
        TableName.parse(options.table)
    scripts.parse(options.before_sql, options.after_sql)
    _move(options).check_arguments()
    _check_publish(options)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Parse the command line. A wrong one ends the process with status 2."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    missing = [flag for flag in ("source", "table") if getattr(options, flag) is None]
    if missing and not options.show_connection:
        parser.error(f"the following arguments are required: {', '.join(f'--{flag}' for flag in missing)}")
    return options


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
        "--dry-run",
        action="store_true",
        help="print what the load would do (columns, statements, locks, parts, connections), and load nothing",
    )
    add_connection_options(parser)
    add_lineage_options(parser)
    add_common_options(parser)
    return parser


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that describe a load."""
    source = parser.add_argument_group("source")
    source.add_argument("--source", nargs="+", metavar="PATH", help="files, folders or s3:// prefixes")
    source.add_argument("--format", choices=FORMATS, default="parquet", help="default: parquet")
    source.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="K=V",
        help="an option of Spark's reader, such as header=true",
    )
    source.add_argument(
        "--schema", metavar="DDL", default="", help="columns and types of csv and json: 'id INT, name STRING'"
    )
    source.add_argument("--select", metavar="SQL", help="a query over the view `source`: choose, rename, cast")
    target = parser.add_argument_group("target")
    target.add_argument("--table", metavar="[SCHEMA.]TABLE", help="names are taken as written")
    target.add_argument("--mode", choices=MODES, default="append", help="default: append")
    target.add_argument("--keys", metavar="A,B", help="the columns that identify a row, for upsert and ignore")
    target.add_argument(
        "--dedupe-order", metavar="ORDER", help="keep the first of the rows with the same keys: 'updated_at desc'"
    )
    target.add_argument(
        "--skip-unchanged",
        choices=SKIPPING,
        default="auto",
        help="whether an upsert leaves alone the table's rows that are equal already; auto decides by a sample",
    )
    target.add_argument(
        "--overwrite-strategy",
        choices=STRATEGIES,
        default="delete",
        help="with --mode overwrite: replace all rows (default), or, by --keys, write only those that differ (diff)",
    )
    target.add_argument(
        "--max-delete-share",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="with --overwrite-strategy diff: the load fails if it would delete more than this share of the table's "
        "rows, such as 0.2",
    )
    target.add_argument(
        "--overwrite-where",
        metavar="SQL",
        help="with --mode overwrite: replace only the rows for which this expression is true, as it must be for all "
        "new rows; it becomes part of statements",
    )
    target.add_argument(
        "--create",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="create the table if it does not exist",
    )
    target.add_argument("--load-id", metavar="ID", help="names this load; a second run with the same id does nothing")
    add_marker_table(target)
    target.add_argument(
        "--wait-for-load",
        type=at_least_one,
        default=locks.LONGEST_WAIT,
        metavar="SECONDS",
        help="how long to wait for another run with the same load id; default: %(default)s",
    )
    target.add_argument(
        "--lock-timeout",
        type=at_least_one,
        metavar="SECONDS",
        help="how long to wait for each lock of the table or its rows; default: the user's setting, or without limit",
    )
    target.add_argument(
        "--publish",
        choices=PUBLISHING,
        default=AUTO,
        help="how rows come into the table: staged, by one transaction; parts, by one for each part, so that readers "
        "see parts arrive, and a rerun of the load id copies only what is missing; default: auto, one small part "
        "straight into the table, all else staged",
    )
    target.add_argument(
        "--parallelism",
        type=at_least_one,
        metavar="N",
        help="the maximum number of connections at once; default: half of the free ones",
    )
    target.add_argument(
        "--max-replica-lag",
        type=duration,
        metavar="TIME",
        help="how far standbys may be behind, such as 10s: parts and slices of rows wait until they have caught up",
    )
    target.add_argument(
        "--max-wal-rate",
        type=byte_rate,
        metavar="RATE",
        help="likewise, how much WAL the server may write, with that of others, such as 50MB/s",
    )
    target.add_argument(
        "--nul", choices=("error", "strip"), default="error", help="NUL characters in text; default: error"
    )
    target.add_argument(
        "--verify",
        action="store_true",
        help="before the commit, compare the table's rows with Spark's by sums of hashes; a difference fails the load",
    )
    _add_column_options(parser)
    _add_script_options(parser)


def _add_column_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("columns")
    group.add_argument(
        COLUMN_TYPE,
        action="append",
        default=[],
        metavar="NAME=TYPE",
        help="the type of a column of a table that the load creates, with what may follow it in CREATE TABLE: "
        "id=bigserial, 'name=varchar(20) NOT NULL'; a column that the data does not have is added; repeat for more",
    )
    group.add_argument(
        METADATA,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=TYPE",
        help="columns to add to the table if it lacks them, new or not; their defaults or --after-sql fill them",
    )
    group.add_argument(
        INDEX,
        action="append",
        default=[],
        metavar="EXPR",
        help="an index of a table that the load creates, built when its rows are in it: 'day, name', 'lower(name)', "
        "'UNIQUE (email)', 'USING gin (tags)'; repeat for more",
    )
    group.add_argument(
        "--null-value",
        action="append",
        default=[],
        metavar="TEXT",
        help="a string that stands for NULL, in the data's columns of strings; repeat for more",
    )


def _definitions(options: argparse.Namespace) -> tuple[tuple[Definition, ...], tuple[Definition, ...]]:
    types = parse_definitions(options.column_type, COLUMN_TYPE)
    metadata = parse_definitions(options.metadata_columns, METADATA)
    check_definitions([*types, *metadata], f"{COLUMN_TYPE} or {METADATA}")
    return types, metadata


def _add_script_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "SQL of your own", "Statements of the transaction that publishes the load: if one fails, nothing is loaded."
    )
    for name, when in (("before", "before the rows are moved"), ("after", "after the rows were moved, and verified")):
        script = group.add_mutually_exclusive_group()
        script.add_argument(f"--{name}-sql", metavar="SQL", help=f"statements to run {when}")
        script.add_argument(f"--{name}-sql-file", metavar="PATH", help="a file with them, also on s3://")


def load(options: argparse.Namespace, environ: Mapping[str, str], outcome: Outcome) -> None:
    """Load, and print the report; or print the plan."""
    from jobs.flows.load import files, foresee  # they import Spark, which check_arguments does without

    connection = connection_of(options, environ)
    if options.show_connection:
        sys.stdout.write(connection.table())
        return
    job, source = job_of(options, environ, connection.settings), files_of(options)

    def start() -> SparkSession:
        return start_spark(f"pgjobs load_table {options.table}", options.verbose)

    outcome.begin(lambda: of_load(options, job.settings), load_id=job.load_id, table=str(job.table), mode=options.mode)
    if options.dry_run:
        outcome.succeed(foresee.plan(job, source, start), Datasets)
        return
    report = files.load(job, source, start)
    outcome.succeed(report, lambda: of_load(options, job.settings, report))


def files_of(options: argparse.Namespace) -> Files:
    """Return the files to read."""
    from jobs.flows.load.files import Files

    return Files(options.source, options.format, options.option, options.schema, options.select or "")


def job_of(options: argparse.Namespace, environ: Mapping[str, str], settings: Settings) -> LoadJob:
    """Return the load that the options describe.

    Raises:
        UsageError: They do not fit together, or a file of SQL cannot be read.
    """
    from jobs.flows.load.defined import Defined
    from jobs.flows.load.governor import Limits
    from jobs.flows.load.job import LoadJob, new_load_id
    from jobs.flows.load.stage import Copying

    _check_publish(options)
    return LoadJob(
        table=TableName.parse(options.table),
        settings=settings,
        load_id=new_load_id() if options.load_id is None else options.load_id,
        move=_move(options),
        create=options.create,
        copying=Copying(options.parallelism, strip_nul=options.nul == "strip"),
        wait_for_load=options.wait_for_load,
        verify=options.verify,
        scripts=scripts.parse(_script(options, "before", environ), _script(options, "after", environ)),
        ledger=Ledger.parse(options.marker_table),
        lock_timeout=options.lock_timeout,
        publish=options.publish,
        defined=Defined(*_definitions(options), tuple(options.index)),
        null_values=tuple(options.null_value),
        limits=Limits(options.max_replica_lag, options.max_wal_rate),
    )


def _move(options: argparse.Namespace) -> Move:
    return Move(
        options.mode,
        (),
        tuple(options.keys.split(",")) if options.keys else (),
        parse_order(options.dedupe_order) if options.dedupe_order is not None else (),
        options.skip_unchanged,
        where=options.overwrite_where,
        strategy=options.overwrite_strategy,
        max_delete_share=options.max_delete_share,
    )


def _check_publish(options: argparse.Namespace) -> None:
    if options.publish == PARTS:
        sql = [getattr(options, f"{name}_sql") or getattr(options, f"{name}_sql_file") for name in ("before", "after")]
        check_parts(
            _move(options),
            any(sql),
            verify=options.verify,
            has_id=options.load_id is not None,
            has_indexes=bool(options.index),
        )


def _script(options: argparse.Namespace, name: str, environ: Mapping[str, str]) -> str | None:
    path: str | None = getattr(options, f"{name}_sql_file")
    text: str | None = getattr(options, f"{name}_sql")
    return text if path is None else read_sql(path, environ, f"--{name}-sql-file")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
