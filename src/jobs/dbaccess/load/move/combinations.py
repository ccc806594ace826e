"""Which modes, keys, orders and conditions go together, and which columns of the data they want."""

from __future__ import annotations

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move.changes import NO_HISTORY
from jobs.dbaccess.load.move.modes import CHANGING, DIFF, KEYED, MODES, SKIPPING, STRATEGIES, TRUNCATE, Move
from jobs.dbaccess.load.partitions.missing import rules

NO_LIMIT = (None, 1.0)
"""Values of --max-delete-share that say nothing to a load that deletes nothing."""


def check(move: Move) -> None:
    """Check that the mode, the keys and the order fit together.

    Raises:
        UsageError: They do not. The message says why.
    """
    if move.mode not in MODES:
        raise UsageError(f"There is no mode {move.mode!r}.", f"Modes: {', '.join(MODES)}.")
    _check_strategy(move)
    _check_keys(move)
    if move.skip_unchanged not in SKIPPING:
        raise UsageError(f"{move.skip_unchanged!r} is not one of {', '.join(SKIPPING)}.")
    if move.skip_unchanged == "yes" and move.mode != "upsert":
        raise UsageError(f"The mode {move.mode!r} skips no unchanged rows.", "Leave it out, or choose upsert.")
    _check_changes(move)
    _check_where(move)
    identity.check_argument(move.overriding, move.mode)
    rules.parse(move.new_partitions or rules.NO)


def check_columns(move: Move) -> None:
    """Check that the data has the columns that the keys and the order name.

    Raises:
        UsageError: It lacks some. The message names them.
    """
    ordered = tuple(order.column for order in move.order)
    flag = "--order-by" if move.changes.order_by else "--dedupe-order"
    for role, names in (("key", move.keys), (f"column of {flag}", ordered)):
        known = move.columns if role == "key" else move.staged
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UsageError(f"The data has no {role} {', '.join(map(repr, unknown))}.", f"It has {', '.join(known)}.")
    move.changes.check_columns(move.columns, move.keys)
    if move.keeps_history:
        _check_history_columns(move)
    if move.max_delete_share not in NO_LIMIT and move.mode in CHANGING and not move.changes.deletes:
        raise UsageError(
            "--max-delete-share limits deletes, and this load has none.",
            "Give --delete-missing or --delete-when, or leave it out.",
        )


def check_verify(move: Move) -> None:
    """Check that --verify can compare what is written with the data.

    Raises:
        UsageError: It cannot.
    """
    if move.keeps_history:
        raise UsageError(
            "--verify compares rows with the data, and the mode history also writes their times.",
            "Leave --verify out.",
        )
    move.changes.check_verify()


def _check_strategy(move: Move) -> None:
    if move.strategy not in STRATEGIES:
        raise UsageError(f"{move.strategy!r} is not one of {', '.join(STRATEGIES)}.")
    if move.strategy == DIFF:
        _check_diff(move)
    elif move.strategy == TRUNCATE and (move.mode != "overwrite" or move.where is not None):
        raise UsageError(
            "--overwrite-strategy truncate replaces all rows of a table.",
            "Give --mode overwrite, without --overwrite-where.",
        )


def _check_diff(move: Move) -> None:
    if move.mode != "overwrite":
        raise UsageError(f"--overwrite-strategy does not go with the mode {move.mode}.", "Give --mode overwrite.")
    if not move.keys:
        raise UsageError(
            "--overwrite-strategy diff needs keys, by which it compares.",
            "Give --keys, the columns that identify a row.",
        )
    if move.where is not None:
        raise UsageError(
            "--overwrite-strategy diff compares the whole table, and --overwrite-where replaces a slice.",
            "Leave one of them out.",
        )


def _check_keys(move: Move) -> None:
    if move.strategy != DIFF and move.keys and move.mode not in KEYED:
        raise UsageError(f"The mode {move.mode!r} takes no keys.", "Leave them out, or choose upsert or ignore.")
    if move.mode in CHANGING and not move.keys:
        raise UsageError(f"The mode {move.mode!r} needs keys.", "Give --keys, the columns that identify a row.")
    if move.order and not move.keys:
        flag = "--order-by" if move.changes.order_by else "--dedupe-order"
        raise UsageError(f"{flag} needs keys.", "Give --keys, the columns that identify a row.")


def _check_changes(move: Move) -> None:
    if move.max_delete_share is not None and not 0 <= move.max_delete_share <= 1:
        raise UsageError(f"--max-delete-share is {move.max_delete_share:g}.", "Give a share from 0 to 1.")
    if move.max_delete_share not in NO_LIMIT and move.strategy != "diff" and move.mode not in CHANGING:
        raise UsageError(
            "--max-delete-share limits what an overwrite by difference, or an upsert, deletes.",
            "Give --overwrite-strategy diff, or --mode upsert with --delete-missing, or leave it out.",
        )
    if move.history != NO_HISTORY and not move.keeps_history:
        raise UsageError(
            f"--as-of and --history-columns: the mode {move.mode} does not have them.", "Give --mode history."
        )
    if move.keeps_history:
        _check_history(move)
    elif move.changes.flags and move.mode != "upsert":
        raise UsageError(
            f"{' and '.join(move.changes.flags)}: the mode {move.mode} does not have it.", "Give --mode upsert."
        )
    move.changes.check()


def _check_history(move: Move) -> None:
    move.history.check()
    lacking = [f for f in move.changes.flags if f in ("--soft-delete", "--update-columns", "--update-when")]
    if lacking:
        raise UsageError(
            f"{' and '.join(lacking)}: the mode history does not have it.",
            "Leave it out: versions are never changed, and a delete ends one.",
        )


def _check_where(move: Move) -> None:
    if move.where is not None and move.mode != "overwrite":
        raise UsageError(f"--overwrite-where does not go with the mode {move.mode}.", "Give --mode overwrite.")
    if move.where is not None and not move.where.strip():
        raise UsageError(
            "--overwrite-where is empty.",
            "Give a condition, or check the variable that was to hold it. Without the flag, all rows are replaced.",
        )


def _check_history_columns(move: Move) -> None:
    taken = [name for name in move.history.columns if name in move.columns]
    if taken:
        raise UsageError(
            f"The data has {', '.join(taken)}, which the mode history sets itself.",
            "Leave it out with --select, name it by --as-of, or give --history-columns other names.",
        )
    if move.history.as_of_column is not None and move.order:
        raise UsageError(
            "--as-of orders the rows of a key by a column, and so does --order-by or --dedupe-order.",
            "Leave one of them out.",
        )
    if move.history.as_of_column is not None and move.changes.delete_missing:
        raise UsageError(
            "--delete-missing ends versions at the time of the data, which --as-of takes from a column.",
            "Give --as-of a time for all rows.",
        )
