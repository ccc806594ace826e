"""The flags of a load's mode: what becomes of the rows of the table."""

from __future__ import annotations

import argparse

from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move.modes import MISSING_SHARE, MODES, SKIPPING, STRATEGIES
from jobs.dbaccess.load.partitions.missing.rules import FLAG as NEW_PARTITIONS


def add_mode_options(group: argparse._ActionsContainer) -> None:
    """Add what the load does to the table."""
    group.add_argument("--table", metavar="[SCHEMA.]TABLE", help="names are taken as written")
    group.add_argument("--mode", choices=MODES, default="append", help="default: append")
    group.add_argument("--keys", metavar="A,B", help="the columns that identify a row, for upsert, ignore and history")
    group.add_argument(
        "--dedupe-order", metavar="ORDER", help="keep the first of the rows with the same keys: 'updated_at desc'"
    )
    group.add_argument(
        "--skip-unchanged",
        choices=SKIPPING,
        default="auto",
        help="whether an upsert leaves alone the table's rows that are equal already; auto decides by a sample",
    )
    group.add_argument(
        "--overwrite-strategy",
        choices=STRATEGIES,
        default="delete",
        help="with --mode overwrite: replace all rows (default), for which no reader waits; or empty the table at "
        "once, for which readers wait (truncate); or, by --keys, write only rows that differ (diff)",
    )
    group.add_argument(
        "--overwrite-where",
        metavar="SQL",
        help="with --mode overwrite: replace only the rows for which this expression is true, as it must be for all "
        "new rows; it becomes part of statements",
    )
    group.add_argument(
        NEW_PARTITIONS,
        nargs="?",
        const="auto",
        default="",
        metavar="RULE",
        help="create the partitions that rows lack: day, '1 week', month, '6 hours', 'day in Europe/Berlin', 1000 (of "
        "integers), value (of a list), or auto, like the existing ones, which is the default of --mode "
        "replace-partitions; no refuses such rows",
    )
    group.add_argument(
        identity.FLAG,
        choices=identity.OVERRIDING,
        default="",
        help="if the data has identity columns: load its values in place of the server's (system), also where they are "
        "GENERATED ALWAYS; or leave them out, so that the server numbers the rows (user)",
    )
    group.add_argument(
        "--create",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="create the table if it does not exist",
    )


def add_change_options(parser: argparse.ArgumentParser) -> None:
    """Add what an upsert or a history does beside inserting and updating."""
    group = parser.add_argument_group(
        "changes",
        "What --mode upsert does beside inserting and updating. Deletes and --order-by also go with --mode history. "
        "Conditions become part of statements.",
    )
    group.add_argument(
        "--delete-when",
        metavar="SQL",
        help="delete the table's row if this expression over the data's row is true, such as \"op = 'D'\"; the table "
        "need not have the column",
    )
    group.add_argument("--delete-missing", action="store_true", help="delete rows whose keys the data lacks")
    group.add_argument(
        "--max-delete-share",
        type=float,
        metavar="SHARE",
        help="the load fails if it would delete more than this share of the table's rows; 1 for no limit. Default: "
        f"{MISSING_SHARE:g} of them may be deleted by --delete-missing, and any number by --delete-when and by "
        "--overwrite-strategy diff",
    )
    group.add_argument(
        "--soft-delete",
        metavar="COLUMN",
        help="keep rows that would be deleted, and mark them in this column of the table: true, or the time",
    )
    group.add_argument(
        "--update-columns", metavar="A,B", help="update these columns only; default: all that are no keys"
    )
    group.add_argument(
        "--update-when",
        metavar="SQL",
        help="update a row only if this expression is true, such as 'source.updated_at > target.updated_at'",
    )
    group.add_argument(
        "--order-by",
        metavar="A,B",
        help="of the rows with the same keys, load the last one in the order of these columns; the load fails if there "
        "are several",
    )


def add_history_options(parser: argparse.ArgumentParser) -> None:
    """Add what a history keeps."""
    group = parser.add_argument_group("history", "What --mode history keeps: the versions of each key.")
    group.add_argument(
        "--as-of",
        metavar="COLUMN|TIME",
        help="from when on the data is valid: a column of it, or a time for all rows; default: the time of the load",
    )
    group.add_argument(
        "--history-columns",
        metavar="FROM,TO,CURRENT",
        help="the table's columns for the times from which and until which a version is valid, and for whether it is "
        "the current one; default: valid_from,valid_to,is_current",
    )
