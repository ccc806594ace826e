"""The flags that describe a load, which load_table and doctor share. `load_of` returns the load that they describe."""

from __future__ import annotations

import argparse

from jobs.cli.flags import FORMATS, add_marker_table, at_least_one
from jobs.cli.mode_flags import add_change_options, add_history_options, add_mode_options
from jobs.cli.quantities import byte_rate, duration
from jobs.dbaccess import locks
from jobs.dbaccess.load.copying.direct import AUTO, PUBLISHING
from jobs.dbaccess.load.definitions.alterations import SCHEMA_MODE, SCHEMA_MODES, STRICT
from jobs.dbaccess.load.definitions.columns import COLUMN_TYPE, METADATA
from jobs.dbaccess.load.definitions.indexes import INDEX
from jobs.dbaccess.load.definitions.shape import NOT_NULL, PARTITION_BY
from jobs.dbaccess.load.followed.decision import CHANGES, FOLLOWING
from jobs.dbaccess.load.followed.decision import FLAG as FOLLOWING_FLAG
from jobs.dbaccess.load.kept.notes import KEPT_FOR
from jobs.dbaccess.load.rejects.policy import ERROR, FAIL, ON_ERROR, ON_NUL


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that describe a load."""
    _add_source_options(parser)
    target = parser.add_argument_group("target")
    add_mode_options(target)
    add_run_options(target)
    _add_publishing_options(target)
    _add_row_options(target)
    add_change_options(parser)
    add_history_options(parser)
    add_pace_options(parser)
    _add_column_options(parser)
    _add_script_options(parser)


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source")
    what = group.add_mutually_exclusive_group()
    what.add_argument("--source", nargs="+", metavar="PATH", help="files, folders or s3:// prefixes")
    add_source_table(what, group)
    group.add_argument("--format", choices=FORMATS, help="of files; default: parquet")
    group.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="K=V",
        help="an option of Spark's reader, such as header=true",
    )
    group.add_argument(
        "--schema", metavar="DDL", default="", help="columns and types of csv and json: 'id INT, name STRING'"
    )
    group.add_argument("--select", metavar="SQL", help="a query over the view `source`: choose, rename, cast")
    group.add_argument(
        FOLLOWING_FLAG,
        nargs="?",
        choices=FOLLOWING,
        const=CHANGES,
        help="with --mode upsert: load only what changed since the last such load, including deletes, in a table of "
        "Iceberg or Delta or in a folder that a capture writes. full: load all rows, and delete those that the source "
        "lacks",
    )


def add_source_table(what: argparse._ActionsContainer, group: argparse._ActionsContainer) -> None:
    """Add the flags of a table of Spark's catalogs: its name to what excludes other sources, and its version."""
    what.add_argument(
        "--source-table",
        metavar="[CATALOG.]DATABASE.TABLE",
        help="in place of files: a table or view of Spark's catalogs, also of Iceberg or Delta",
    )
    group.add_argument(
        "--source-version",
        metavar="N",
        default="",
        help="with --source-table: this snapshot of Iceberg, or version of Delta; default: the current one",
    )


def add_run_options(group: argparse._ActionsContainer) -> None:
    """Add the flags that name a load, and that say how long it waits for others."""
    group.add_argument("--load-id", metavar="ID", help="names this load; a second run with the same id does nothing")
    add_marker_table(group)
    group.add_argument(
        "--wait-for-load",
        type=at_least_one,
        default=locks.LONGEST_WAIT,
        metavar="SECONDS",
        help="how long to wait for another run with the same load id; default: %(default)s",
    )
    group.add_argument(
        "--lock-timeout",
        type=at_least_one,
        metavar="SECONDS",
        help="how long to wait for each lock of the table or its rows; default: the user's setting, or without limit",
    )


def _add_publishing_options(group: argparse._ActionsContainer) -> None:
    """Add how the rows come into the table, and what stays if they do not."""
    group.add_argument(
        "--publish",
        choices=PUBLISHING,
        default=AUTO,
        help="how rows come into the table: staged, by one transaction; parts, by one for each part, so that readers "
        "see parts arrive, and a rerun of the load id copies only what is missing; default: auto, one small part "
        "straight into the table, all else staged",
    )
    group.add_argument(
        "--keep-staging",
        nargs="?",
        type=duration,
        const=KEPT_FOR,
        metavar="TIME",
        help="if the load fails, keep what was staged for a rerun of the load id, which copies only what is missing; "
        "for this time, such as 2d; default: 7 days",
    )


def _add_row_options(group: argparse._ActionsContainer) -> None:
    """Add what becomes of rows that are refused, and how rows are compared."""
    group.add_argument(
        "--nul",
        choices=ON_NUL,
        default=ERROR,
        help="characters that the server cannot store (NUL, broken UTF-8, what the database's encoding lacks): an "
        "error (default); strip removes them; replace puts U+FFFD there, or ? where the encoding lacks that",
    )
    group.add_argument(
        "--on-error",
        choices=ON_ERROR,
        default=FAIL,
        help="rows that the server refuses: fail the load (default), or quarantine them in <table>_rejects and load "
        "the others",
    )
    group.add_argument(
        "--max-errors",
        type=int,
        metavar="N",
        help="with --on-error quarantine: the load fails if more rows are rejected; default: no limit",
    )
    group.add_argument(
        "--max-error-rate",
        type=float,
        metavar="SHARE",
        help="with --on-error quarantine: the load fails if more than this share of all rows is rejected, such as 0.01",
    )
    group.add_argument(
        "--show-values",
        action="store_true",
        help="show the value of a row that the server refuses in the error, and so in logs",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="before the commit, compare the table's rows with Spark's by sums of hashes; a difference fails the load",
    )


def add_pace_options(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say how much of the server is used."""
    group = parser.add_argument_group("pace", "How much of the server the load may use.")
    group.add_argument(
        "--parallelism",
        type=at_least_one,
        metavar="N",
        help="the maximum number of connections at once; default: half of the free ones",
    )
    group.add_argument(
        "--max-replica-lag",
        type=duration,
        metavar="TIME",
        help="how far standbys may be behind, such as 10s: parts and slices of rows wait until they have caught up",
    )
    group.add_argument(
        "--max-wal-rate",
        type=byte_rate,
        metavar="RATE",
        help="how much WAL the server may write, with that of others, such as 50MB/s: parts and slices wait likewise",
    )


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
        SCHEMA_MODE,
        choices=SCHEMA_MODES,
        default=STRICT,
        help="what the load may change in an existing table: nothing (default), add-columns that the data has and the "
        "table lacks, or widen types, too, such as integer to bigint, which may rewrite the table",
    )
    group.add_argument(
        PARTITION_BY,
        metavar="HOW",
        help="how a table that the load creates is partitioned: 'range(day)' with --new-partitions day, month or 1000; "
        "'list(country)'; 'hash(id, 8)'",
    )
    group.add_argument(
        NOT_NULL,
        action="store_true",
        help="columns of a table that the load creates are NOT NULL if Spark knows that they are: columns of files are "
        "not, expressions of --select may be",
    )
    group.add_argument(
        "--null-value",
        action="append",
        default=[],
        metavar="TEXT",
        help="a string that stands for NULL, in the data's columns of strings; repeat for more",
    )


def _add_script_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "SQL of your own", "Statements of the transaction that publishes the load: if one fails, nothing is loaded."
    )
    for name, when in (("before", "before the rows are moved"), ("after", "after the rows were moved, and verified")):
        script = group.add_mutually_exclusive_group()
        script.add_argument(f"--{name}-sql", metavar="SQL", help=f"statements to run {when}")
        script.add_argument(f"--{name}-sql-file", metavar="PATH", help="a file with them, also on s3://")
