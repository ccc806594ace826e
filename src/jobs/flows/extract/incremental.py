"""What an incremental extract requires: a table whose new rows are known, and a column that orders a row's versions."""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.extract import partitioning
from jobs.dbaccess.session import Session
from jobs.flows.extract.plan import Wanted

_ORDINALS = frozenset({"int2", "int4", "int8", "timestamp", "timestamptz"})


def with_ordinal(wanted: Wanted, name: str) -> Wanted:
    """Add the ordinal column, if any, to the columns to extract. By it, a reader finds the newest version of a row."""
    if not name or not wanted.columns or name in wanted.columns:
        return wanted
    return replace(wanted, columns=(*wanted.columns, name))


def check_tells_new(session: Session, table: Table | None) -> None:
    """Check that the new rows of a source are known.

    Raises:
        UsageError: They are not, because some of its rows have no transaction on this server.
    """
    if table is None:
        raise UsageError("The new rows of a query cannot be determined.", "Name a table.")
    if table.kind not in ("r", "p"):
        raise UsageError(f"{table.name} is not a table: its new rows cannot be determined.", "Name a table.")
    if partitioning.has_foreign_leaf(session, table.name):
        raise UsageError(
            f"A part of {table.name} is a foreign table, whose new rows cannot be determined.", "Name others."
        )


def check_ordinal(session: Session, name: str, table: Table) -> None:
    """Check that a column can order the versions of a row.

    Raises:
        UsageError: It is neither an integer nor a timestamp, or it is part of the primary key.
    """
    column = next((column for column in table.columns if column.name == name), None)
    if column is None or column.base_type not in _ORDINALS:
        what = "no column of the table" if column is None else f"a {column.type_name}"
        raise UsageError(f"The ordinal column {name} is {what}.", "It must be an integer or a timestamp.")
    if name in tables.primary_key(session, table.name):
        raise UsageError(f"The ordinal column {name} is part of the primary key.", "An update does not change it.")
