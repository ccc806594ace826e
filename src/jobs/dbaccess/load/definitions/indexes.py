"""Indexes as the user defines them, for a table that a load creates: they are built when the rows are in it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions.columns import run_definitions
from jobs.dbaccess.query import script
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

INDEX = "--index"
"""The flag, as messages name it."""


def check(indexes: Iterable[str]) -> None:
    """Check without a server that each text can be what follows the table in CREATE INDEX.

    Raises:
        UsageError: One is empty, or would end the statement.
    """
    for text in indexes:
        if not text.strip() or not script.is_one_item(f"({text}\n)"):
            raise UsageError(
                f"{INDEX} {text!r} is not an index.", 'Write its columns: "day, name"; or "USING gin (tags)".'
            )


def create(session: Session, name: TableName, indexes: Iterable[str]) -> None:
    """Create indexes in the open transaction. For B-trees, the server uses several processes where it has them free."""
    run_definitions(session, [creating(name, text) for text in indexes])


def is_unique(text: str) -> bool:
    """Return whether an index refuses rows: whether its text begins with UNIQUE."""
    return _UNIQUE.match(text) is not None


def creating(name: TableName, text: str) -> str:
    """Return the statement that creates an index.

    Args:
        name: The table.
        text: Columns or expressions; or what follows the table in CREATE INDEX, from USING or a parenthesis on. UNIQUE
            may come before.
    """
    unique, rest = ("UNIQUE ", text.split(None, 1)[1]) if is_unique(text) else ("", text)
    given = rest if _FROM_METHOD_ON.match(rest) else f"({rest}\n)"
    return f"CREATE {unique}INDEX ON {name.quoted} {given}"


_UNIQUE = re.compile(r"\s*unique\s+\S", re.IGNORECASE)
_FROM_METHOD_ON = re.compile(r"\s*(\(|using\s)", re.IGNORECASE)
