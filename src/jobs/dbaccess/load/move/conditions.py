"""The conditions of a mode, as the server parses them before anything is copied."""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess.errors import DatabaseError, TransientError, UsageError
from jobs.dbaccess.load.move.changes import OWN_COLUMNS
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.query import condition
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName, quote_name


def data_of(move: Move, target: TableName) -> str:
    """Return what has the columns of the data, as written in FROM, for an existing table."""
    types = {**dict(move.staged_only), **dict(move.altered)}
    columns = [
        f"NULL::{types[name]} AS {quote_name(name)}" if name in types else quote_name(name) for name in move.staged
    ]
    return f"(SELECT {', '.join(columns)} FROM {target.quoted})"


def check_used(session: Session, move: Move, target: TableName) -> None:
    """Check that each column that the table lacks is used, where a condition contains its name, which may be a keyword.

    The server tells: without the column, a condition that uses it is none. No transaction may be open.

    Raises:
        UsageError: One is not used, and would be lost.
    """
    used = {*OWN_COLUMNS, *move.changes.order_by, move.history.as_of_column}
    for name in [name for name, _ in move.staged_only if name not in used]:
        others = replace(move, staged_only=tuple(column for column in move.staged_only if column[0] != name))
        try:
            check(session, others, data_of(others, target), target.quoted)
        except UsageError:
            continue
        raise UsageError(
            f"{name!r} is not a column of the table {target}, and no condition uses it.",
            "Rename it, or leave it out with --select.",
        )


def check(session: Session, move: Move, source: str, target: str) -> None:
    """Have the server parse the conditions.

    Args:
        session: A session.
        move: It has the conditions.
        source: What has the columns of the data, as written in FROM, without an alias.
        target: What has the columns of the table, likewise.

    Raises:
        UsageError: One is not a boolean expression over them. The message contains the server's reason.
    """
    relations = {
        "--delete-when": (move.changes.delete_when, f"{source} AS source", "`source`, the data"),
        "--update-when": (
            move.changes.update_when,
            f"{source} AS source, {target} AS target",
            "`source`, the data, and `target`, the table",
        ),
    }
    for flag, (text, relation, over) in relations.items():
        if text is not None:
            check_one(session, flag, text, relation, over)


def check_one(session: Session, flag: str, text: str, relation: str, over: str) -> None:
    """Have the server parse a condition.

    Args:
        session: A session.
        flag: The flag that has it.
        text: The condition.
        relation: What has the columns, as written in FROM.
        over: What that is, for the message.

    Raises:
        UsageError: It is not one boolean expression over the columns. The message contains the server's reason.
    """
    try:
        condition.check(session, relation, text)
    except TransientError:
        raise
    except DatabaseError as error:
        raise UsageError(
            f"{flag} is not one boolean expression over the columns of {over}: {error.message}",
            "Nothing was loaded. Correct the condition.",
        ) from None
