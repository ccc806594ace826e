"""SQL of the user's own in the publishing transaction: before the rows are moved, and after.

Luigi calls these init_copy and post_copy.

A script cannot end the transaction: statements that do are refused when it is parsed, and the server refuses procedures
and DO blocks that would. Nor can it undo what publish did: a savepoint encloses each script, so that the savepoints of
the first one are gone when the second one could roll back to them. What a script inserts also gets another transaction
id than the load's rows, which are verified by theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import ConnectionFailed, TransientError, UsageError
from jobs.dbaccess.local_settings import local_settings
from jobs.dbaccess.query import script
from jobs.dbaccess.query.execute import PARSED_AS_SPLIT, Done, check, run_statements
from jobs.dbaccess.query.script import Statement
from jobs.dbaccess.session import Session

BEFORE, AFTER = "--before-sql", "--after-sql"
"""The scripts, as messages name them."""

_SAVEPOINT = "pgjobs_script"


@dataclass(frozen=True)
class Scripts:
    """The statements of both scripts; none where there is no script."""

    before: tuple[Statement, ...] = ()
    after: tuple[Statement, ...] = ()

    def __bool__(self) -> bool:
        """Return whether there is anything to run."""
        return bool(self.before or self.after)


@dataclass(frozen=True)
class Ran:
    """What the statements of both scripts did."""

    before: tuple[Done, ...] = ()
    after: tuple[Done, ...] = ()


class ScriptInterrupted(TransientError):
    """A statement of a script was ended by a timeout, or for a conflict with another session. The message names it."""


def parse(before: str | None, after: str | None) -> Scripts:
    """Split both scripts into statements.

    Args:
        before: SQL, or None for no script.
        after: Likewise.

    Raises:
        UsageError: A script contains no statement, a quote is not closed, or a statement would end the transaction.
    """
    return Scripts(_statements(before, BEFORE), _statements(after, AFTER))


def _statements(sql: str | None, name: str) -> tuple[Statement, ...]:
    if sql is None:
        return ()
    try:
        statements = script.split(sql)
    except UsageError as error:
        raise UsageError(f"{name}: {error.message}", error.hint) from None
    check(statements, name)
    return tuple(statements)


def run(session: Session, statements: Sequence[Statement], name: str) -> tuple[Done, ...]:
    """Run a script in the open transaction, on the user's own search path. Its settings apply to what follows, too.

    Raises:
        DatabaseError: The server refused a statement, which the message names.
    """
    if not statements:
        return ()
    done: list[Done] = []
    session.run(f"SAVEPOINT {_SAVEPOINT}")
    try:
        with local_settings(session, PARSED_AS_SPLIT):
            run_statements(session, statements, {}, done, name)
    except ConnectionFailed:
        raise
    except TransientError as error:
        raise ScriptInterrupted(error.message, error.hint, error.sqlstate, error.column) from None
    session.run(f"RELEASE SAVEPOINT {_SAVEPOINT}")
    return tuple(done)
