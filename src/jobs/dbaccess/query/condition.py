"""A condition of the user's own, as part of our statements: one boolean expression over the columns of a relation."""

from __future__ import annotations

from jobs.dbaccess.query import script
from jobs.dbaccess.session import Session


def enclosed(condition: str) -> str:
    """Return a condition in parentheses, on a line of its own: a comment at its end does not swallow what follows."""
    return f"(\n{condition}\n)"


def check(session: Session, relation: str, condition: str) -> None:
    """Have the server parse a condition.

    A text that closes our parentheses and opens others (`a) OR (b`) would still be a valid statement, but not within
    brackets. So the server parses it in both.

    Args:
        session: A session.
        relation: As written in FROM.
        condition: The condition.

    Raises:
        DatabaseError: It is not one boolean expression over the columns. The message contains the server's reason.
    """
    session.describe(f"SELECT ARRAY[\n{condition}\n] FROM {relation}")
    session.describe(f"SELECT 1 FROM {relation} WHERE {enclosed(condition)}")


def names(condition: str) -> set[str]:
    """Return the words of a condition, among them all names: as the server takes them, unquoted ones in lower case.

    Raises:
        UsageError: A quote or comment is not closed.
    """
    return script.names(condition)
