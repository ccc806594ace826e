"""The types of a table's columns, on which a capture relies, and whether somebody has altered the columns since."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.dbaccess.errors import TransientError
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

_COLUMNS = """
SELECT a.attname, below.type_name, a.attidentity = 'a', concat_ws('/', a.attrelid, a.attnum, a.xmin)
FROM pg_attribute a CROSS JOIN LATERAL (
    WITH RECURSIVE below AS (
        SELECT t.typtype, t.typbasetype, t.typtypmod, format_type(t.oid, a.atttypmod) AS type_name
        FROM pg_type t WHERE t.oid = a.atttypid
        UNION ALL
        SELECT t.typtype, t.typbasetype, t.typtypmod, format_type(t.oid, below.typtypmod)
        FROM below JOIN pg_type t ON t.oid = below.typbasetype WHERE below.typtype = 'd'
    )
    SELECT type_name FROM below WHERE typtype <> 'd'
) below WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""


@dataclass(frozen=True)
class ColumnType:
    """The type of a column.

    Attributes:
        name: Of the type, as SQL writes it, without domains.
        is_identity: Whether the column is GENERATED ALWAYS AS IDENTITY.
        written: Another text after each ALTER TABLE of the column, and for the column of another table.
    """

    name: str
    is_identity: bool
    written: str


def read(session: Session, table: TableName) -> dict[str, ColumnType]:
    """Return the type of each column; none for a table that does not exist."""
    return {name: ColumnType(*described) for name, *described in session.run(_COLUMNS, table.quoted)}


def digest(types: Sequence[ColumnType]) -> str:
    """Return another text after each ALTER TABLE of the columns."""
    return hashlib.sha256(" ".join(one.written for one in types).encode()).hexdigest()[:32]


def check(session: Session, table: TableName, columns: Sequence[str], before: str) -> None:
    """Check that columns are as they were.

    Args:
        session: Has locked the table.
        table: The table.
        columns: Some of its columns.
        before: Their `digest`.

    Raises:
        TransientError: They are not. What relies on their types has to be determined again.
    """
    types = read(session, table)
    if any(name not in types for name in columns) or digest([types[name] for name in columns]) != before:
        raise TransientError(f"Columns of {table} were altered while this ran.")
