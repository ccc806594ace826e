"""Where a load's rows go: the table, or the one to be made, and which column takes which."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pyspark.sql.types import StructType

from jobs.copyformat.match_columns import Match, match_existing, match_new
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.modes import Move
from jobs.dbaccess.load.publish import check_target
from jobs.dbaccess.load.row_text import RowText
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName


@dataclass(frozen=True)
class Target:
    """The table under its full name, the columns that match, and how rows are moved there.

    Attributes:
        row: how rows are written for their hashes, where the load is to be verified.
    """

    name: TableName
    matches: tuple[Match, ...]
    move: Move
    is_new: bool
    row: RowText | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The table's columns that the data has, in the order of a COPY line."""
        return tuple(match.target.name for match in self.matches)

    @property
    def types(self) -> tuple[str, ...]:
        """Their types, as SQL writes them."""
        return tuple(match.target.type_name for match in self.matches)


def find_table(session: Session, name: TableName, create: bool) -> Table | None:
    """The table, or None where it is to be made; that it can be is settled before the input is read.

    Raises:
        UsageError: it is neither there nor to be made, or takes no rows, or its schema is missing.
    """
    table = tables.find_table(session, name)
    if table is not None and table.kind not in _TAKES_ROWS:
        what = _OTHER_KINDS.get(table.kind, "no table")
        raise UsageError(f"{table.name} is {what}, and takes no rows.", "Name a table, or a view that can be updated.")
    if table is None and not create:
        raise UsageError(f"There is no table {name}.", "Create it first, or give --create.")
    if table is None:
        schema = tables.name_for_new_table(session, name).schema
        if schema is None or not tables.schema_exists(session, schema):
            raise UsageError(f"There is no schema for the table {name}.", "Create the schema first.")
    return table


_TAKES_ROWS = ("r", "p", "v", "f")
"""pg_class's relkinds: table, partitioned table, view, foreign table."""

_OTHER_KINDS = {
    "m": "a materialised view",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a composite type",
    "t": "the TOAST of a table",
}


def settle_target(session: Session, name: TableName, table: Table | None, schema: StructType, move: Move) -> Target:
    """Match the data with the table, or with the one to be made, and check that the mode suits it.

    Args:
        session: where the table is.
        name: of the table.
        table: what the catalogue says of it, or None where it is to be made.
        schema: of the data.
        move: the mode, its keys and order; its columns are settled here.

    Raises:
        UsageError: the data does not fit.
        LoadError: the table does not suit the mode.
    """
    matches = match_existing(schema, table) if table else match_new(schema)
    move = replace(move, columns=tuple(match.target.name for match in matches))
    move.check_columns()
    if table is None:
        return Target(tables.name_for_new_table(session, name), matches, move, is_new=True)
    check_target(session, table.name, move)
    return Target(table.name, matches, move, is_new=False)
