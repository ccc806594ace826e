"""Which column of a table takes which column of the data, and which columns are only staged."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_existing
from jobs.dbaccess.catalog.tables import IDENTITY_ALWAYS, Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load import identity
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.changes import with_own
from jobs.dbaccess.load.move.modes import CHANGING, DIFF, Move
from jobs.dbaccess.load.move.order import order_of

logger = logging.getLogger(__name__)


def staged_only(schema: StructType, of_table: Collection[str], move: Move) -> tuple[Move, dict[str, str]]:
    """Return the columns of the data that are only staged. If the data tells deletes as our own files do, so is told.

    Args:
        schema: The schema of the data.
        of_table: The columns of the table.
        move: The mode, and what the user wants.
    """
    if move.mode not in CHANGING:
        return move, {}
    move = _timed(move, schema.names)
    as_of = move.history.as_of_column
    changes = with_own(move.changes, schema.names, of_table, ordered=bool(move.order) or as_of is not None)
    if changes != move.changes:
        logger.info("The data says by its column _op which rows are deleted.")
        move = replace(move, changes=changes, order=move.order or order_of(None, changes.order_by))
    extras = changes.staged_only(schema.names, of_table, as_of or "")
    if extras:
        logger.info("Staged only, as the table does not have them: %s.", ", ".join(extras))
    if as_of is not None:  # by its name in staging, which may differ in case
        known = [column for column in of_table if column.casefold() == as_of.casefold()]
        as_of = as_of if as_of in known else (known or [extras.get(as_of, as_of)])[0]
        move = replace(move, history=replace(move.history, as_of_column=as_of))
    return move, extras


def _timed(move: Move, names: Collection[str]) -> Move:
    """Return the move, with the column of the data that --as-of names, if it does."""
    as_of = move.history.as_of
    named = [name for name in names if as_of is not None and name.casefold() == as_of.casefold()]
    column = as_of if as_of in named else next(iter(named), None)
    return replace(move, history=replace(move.history, as_of_column=column))


def matched(schema: StructType, table: Table, move: Move) -> tuple[Match, ...]:
    """Match columns of the data with those of a table, which exists or was made on trial.

    Args:
        schema: The columns of the data that are for the table.
        table: The table as it will be.
        move: The mode, and what the user wants.

    Raises:
        UsageError: They do not fit, or the server numbers the rows and the mode does not allow for it.
    """
    return _numbered(match_existing(schema, _filled(table, move)), move)


def _filled(table: Table, move: Move) -> Table:
    """Return the table, whose columns that the load fills itself need not be in the data, and identities may be."""
    ours = {move.changes.soft_delete, *(move.history.columns if move.keeps_history else ())}
    columns = (
        replace(
            column,
            required=column.required and column.name not in ours,
            generated=column.generated and not (move.overriding and column.identity),
        )
        for column in table.columns
    )
    return replace(table, columns=tuple(columns))


def _numbered(matches: tuple[Match, ...], move: Move) -> tuple[Match, ...]:
    """Return the matches, without those of identity columns if the server numbers the rows all the same.

    Raises:
        UsageError: An upsert would update one, or there is no other column.
    """
    given = [match.target for match in matches if match.target.identity]
    if move.overriding == identity.USER and given:
        names = ", ".join(column.name for column in given)
        if any(column.name in move.keys for column in given):
            raise UsageError(
                f"--overriding user leaves out {names}, which the server numbers anew, and --keys names it: no row of "
                "the table would be found by it.",
                "Give --overriding system to load the data's values, or other --keys.",
            )
        if len(given) == len(matches):
            raise UsageError(
                f"The data has no column but {names}, which the server numbers.", "There is nothing to load."
            )
        logger.info("Not loaded, as the server numbers the rows: %s.", names)
        return tuple(match for match in matches if not match.target.identity)
    always = [column.name for column in given if column.identity == IDENTITY_ALWAYS]
    if move.mode == "upsert" or move.strategy == DIFF:
        columns = tuple(match.target.name for match in matches)
        identity.check_updates(move.overriding, always, replace(move, columns=columns).values)
    return matches


def settled(move: Move, matches: Sequence[Match], extras: Sequence[Match]) -> tuple[Move, tuple[Match, ...]]:
    """Return the move with the columns of the table and those that are only staged, and the matches of both.

    Raises:
        UsageError: The mode does not suit these columns.
    """
    columns = tuple(match.target.name for match in matches)
    staged = tuple((match.target.name, match.target.definition) for match in extras)
    move = replace(move, columns=columns, staged_only=staged)
    combinations.check_columns(move)
    return move, (*matches, *extras)
