"""What an extract selects: a relation, columns and a filter, as text that the server has checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import DatabaseError, TransientError, UsageError
from jobs.dbaccess.extract.partitioning import Range
from jobs.dbaccess.query.condition import check
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.dbaccess.sqlstates import UNTRANSLATABLE


@dataclass(frozen=True)
class Selection:
    """A relation and a condition on its rows.

    Attributes:
        relation: The relation as written in FROM.
        condition: In parentheses; empty for all rows.
    """

    relation: str
    condition: str = ""

    @classmethod
    def of_table(cls, table: TableName) -> Selection:
        """Select all rows of a table."""
        return cls(table.quoted)

    @classmethod
    def of_query(cls, query: str) -> Selection:
        """Select all rows of a query. A line break keeps a comment at its end from swallowing what follows."""
        return cls(f"(\n{query.strip().rstrip(';')}\n) AS query")

    def where(self, condition: str) -> Selection:
        """Return the selection with one more condition."""
        return Selection(self.relation, conjunction(self.condition, f"({condition})"))

    def select(self, expressions: Sequence[str]) -> str:
        """Return the whole selection as one SELECT."""
        return select(expressions, Range(self.relation), self.condition)


def select(expressions: Sequence[str], piece: Range, condition: str) -> str:
    """Return a part of a selection as a SELECT."""
    both = conjunction(piece.condition, condition)
    return f"SELECT {', '.join(expressions)} FROM {piece.relation}" + (f" WHERE {both}" if both else "")


def conjunction(*conditions: str) -> str:
    """Return the conjunction of conditions. Empty ones are ignored."""
    return " AND ".join(condition for condition in conditions if condition)


def filtered(session: Session, selection: Selection, condition: str) -> Selection:
    """Return the selection with a user's filter, which must be one boolean expression.

    Raises:
        UsageError: It is not one boolean expression over the columns. The message contains the server's reason.
    """
    try:
        check(session, selection.relation, condition)
    except TransientError:
        raise
    except DatabaseError as error:
        if error.sqlstate == UNTRANSLATABLE:
            raise UsageError(f"The filter cannot be sent: {error.message}", error.hint) from None
        raise UsageError(
            f"The filter is not one boolean expression over the columns: {error.message}", "Correct --filter."
        ) from None
    return selection.where(f"\n{condition}\n")


def check_query(session: Session, query: str) -> None:
    """Check that a query is a single statement that can appear in FROM.

    Raises:
        UsageError: It is not. The message contains the server's reason.
    """
    try:
        session.describe(Selection.of_query(query).select(["*"]))
    except TransientError:
        raise
    except DatabaseError as error:
        raise UsageError(f"The query cannot be extracted: {error.message}", "Correct --query: one SELECT.") from None
