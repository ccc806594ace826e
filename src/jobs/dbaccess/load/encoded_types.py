"""The types for which rows were encoded: a line of COPY that is read for other types may be stored as other values.

The text of a timestamp is also one of a date, and any text is one of a column of text. The types are looked up before
rows are encoded. Whoever alters the table in a transaction that is open then changes them afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

EncodedTypes = Sequence[tuple[str, str]]
"""Columns of an existing table, each with its type as `format_type` writes it."""


def check(session: Session, table: TableName, expected: EncodedTypes) -> None:
    """Check that a table, whose lock this transaction has, has these types.

    Raises:
        LoadError: It has others. The message names the columns.
    """
    types: dict[str, str] = dict(session.run(_TYPES, table.quoted)) if expected else {}
    changed = [
        f"{name} is {types.get(name, 'missing')} and not {type_}"
        for name, type_ in expected
        if types.get(name) != type_
    ]
    if changed:
        raise LoadError(
            f"The types of columns were changed while the load began: {', '.join(changed)}.", "Run the load again."
        )


_TYPES = (
    "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute "
    "WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped"
)
