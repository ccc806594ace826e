"""What an extract selects: a relation, columns, a filter; as text, and checked by the server before it is trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import UNTRANSLATABLE, DatabaseError, TransientError, UsageError
from jobs.dbaccess.extract.partitioning import Range
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Selection:
    """A relation and which of its rows.

    Attributes:
        relation: as FROM takes it.
        condition: parenthesised; empty for all rows.
    """

    relation: str
    condition: str = ""

    @classmethod
    def of_table(cls, table: TableName) -> Selection:
        """All rows of a table."""
        return cls(table.quoted)

    @classmethod
    def of_query(cls, query: str) -> Selection:
        """All rows of a query. A line of its own keeps a comment at its end from what follows."""
        return cls(f"(\n{query.strip().rstrip(';')}\n) AS query")

    def where(self, condition: str) -> Selection:
        """The same with one more condition."""
        return Selection(self.relation, conjunction(self.condition, f"({condition})"))

    def select(self, expressions: Sequence[str]) -> str:
        """The whole as one SELECT."""
        return select(expressions, Range(self.relation), self.condition)


def select(expressions: Sequence[str], piece: Range, condition: str) -> str:
    """A piece of a selection as a SELECT."""
    both = conjunction(piece.condition, condition)
    return f"SELECT {', '.join(expressions)} FROM {piece.relation}" + (f" WHERE {both}" if both else "")


def conjunction(*conditions: str) -> str:
    """All of the conditions; empty ones count for nothing."""
    return " AND ".join(condition for condition in conditions if condition)


def filtered(session: Session, selection: Selection, condition: str) -> Selection:
    """The selection with a user's filter, which must be one boolean expression.

    The text goes into our statements, between parentheses. One that closes them, and opens others (`a) OR (b`), would
    still be a statement; but not between brackets. So the server parses it in both.

    Raises:
        UsageError: it is not one boolean expression over the columns; with the server's reason.
    """
    own_line = f"\n{condition}\n"
    try:
        session.describe(f"SELECT ARRAY[{own_line}] FROM {selection.relation}")
        session.describe(f"SELECT 1 FROM {selection.relation} WHERE ({own_line})")
    except TransientError:
        raise
    except DatabaseError as error:
        if error.sqlstate == UNTRANSLATABLE:
            raise UsageError(f"The filter cannot be asked for: {error.message}", error.hint) from None
        raise UsageError(
            f"The filter is not one boolean expression over the columns: {error.message}", "Mend --filter."
        ) from None
    return selection.where(own_line)


def check_query(session: Session, query: str) -> None:
    """Check that a query is one statement that can stand in FROM.

    Raises:
        UsageError: it is not; with the server's reason.
    """
    try:
        session.describe(Selection.of_query(query).select(["*"]))
    except TransientError:
        raise
    except DatabaseError as error:
        raise UsageError(f"The query cannot be read from: {error.message}", "Mend --query: one SELECT.") from None
