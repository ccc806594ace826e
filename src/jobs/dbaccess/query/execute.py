"""Runs a user's statements on a session, and reports what each of them did."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from jobs.dbaccess.errors import ConnectionFailed, DatabaseError, UsageError
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.session import Answer, Session
from jobs.dbaccess.sqlstates import SYNTAX_ERROR

PARSED_AS_SPLIT = {"standard_conforming_strings": "on"}
"""With it off, a backslash in a plain string would escape the quote after it."""


@dataclass(frozen=True)
class Done:
    """A statement that was run.

    Attributes:
        statement: Its first words.
        line: Where it begins in the script.
        rows: How many rows it returned or changed; None if it does neither.
        seconds: How long it took.
    """

    statement: str
    line: int
    rows: int | None
    seconds: float


@dataclass(frozen=True)
class Table:
    """The rows that a statement returned."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def check(statements: Sequence[Statement], script: str = "") -> None:
    """Refuse what a script must not contain.

    Args:
        statements: Of the script.
        script: The flag that gives the script, if it is part of a load; empty for the SQL of a run of its own.

    Raises:
        UsageError: It contains no statement, begins or ends a transaction, or copies from or to the client.
    """
    if not statements:
        raise UsageError(f"{script or 'The SQL'} contains no statement.", "Give one, or check the file.")
    for statement in statements:
        if statement.ends_transaction:
            raise UsageError(
                f"{_line(script, statement)}: {statement} begins or ends a transaction.",
                "Leave it out: the script is part of the transaction that publishes the load."
                if script
                else "Leave it out: all statements are one transaction, or, with --autocommit, each is one.",
            )
        if statement.copies:
            raise UsageError(
                f"{_line(script, statement)}: COPY from or to the client is not possible here.",
                "Load files with load_table.py, and extract them with extract_table.py.",
            )


def _line(script: str, statement: Statement) -> str:
    return f"{script}, line {statement.line}" if script else f"Line {statement.line}"


class Into(Protocol):
    """What receives the rows of a script's queries."""

    def ask(self, session: Session, statement: Statement, values: Sequence[object]) -> Answer:
        """Run a statement."""
        ...


def run_statements(
    session: Session,
    statements: Sequence[Statement],
    values: Mapping[str, object],
    done: list[Done],
    script: str = "",
    *,
    into: Into | None = None,
) -> Table | None:
    """Run statements in turn, on the user's own search path.

    Args:
        session: If no transaction is open, each statement is a transaction of its own.
        statements: Of a script.
        values: By name.
        done: Each statement that was run is appended to it, also if a later one fails.
        script: As for `check`.
        into: Receives the rows, which are not returned then.

    Returns:
        The rows of the last statement that returns any; None if none does.

    Raises:
        DatabaseError: The server refused a statement, or the connection broke; the message states the line.
    """
    table = None
    with session.users_path():
        for statement in statements:
            start = time.monotonic()
            answer = _ask(session, statement, values, script, into)
            done.append(Done(str(statement), statement.line, answer.count, round(time.monotonic() - start, 3)))
            if answer.columns is not None:
                table = Table(answer.columns, answer.rows)
    return table


def _ask(
    session: Session, statement: Statement, values: Mapping[str, object], script: str, into: Into | None
) -> Answer:
    bound = [values[name] for name in statement.names]
    try:
        return session.ask(statement.text, bound) if into is None else into.ask(session, statement, bound)
    except ConnectionFailed:
        raise
    except UsageError as error:
        raise UsageError(f"{_line(script, statement)}, {statement}: {error.message}", error.hint) from None
    except DatabaseError as error:
        message = f"{_line(script, statement)}, {statement}: {error.message}"
        hint = error.hint or ("Nothing was loaded." if script else _hint(statement, error))
        raise type(error)(message, hint, error.sqlstate, error.column) from None


def _hint(statement: Statement, error: DatabaseError) -> str:
    if error.sqlstate == SYNTAX_ERROR and statement.without_value:
        return f"No value was given for :{', :'.join(statement.without_value)}. (--param NAME=VALUE)"
    return _HINTS.get(error.sqlstate, "")


_HINTS = {
    "25001": "Give --autocommit: this statement cannot be part of a transaction.",
    "42P02": "This statement takes no values. Write them into the SQL.",
}
"""By SQLSTATE: active_sql_transaction, undefined_parameter."""
