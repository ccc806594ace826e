"""Where a load's rows go: a table that exists, or one that the load creates."""

from __future__ import annotations

from pyspark.sql.types import StructType

from jobs.dbaccess.catalog import tables
from jobs.dbaccess.catalog.tables import Table
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName
from jobs.flows.load.defined import NONE_DEFINED, Defined
from jobs.flows.load.targets.existing import existing_target
from jobs.flows.load.targets.new import new_target
from jobs.flows.load.targets.target import Target


def find_table(session: Session, name: TableName, create: bool) -> Table | None:
    """Return the table, or None if the load is to create it. Whether it can is checked before the input is read.

    Raises:
        UsageError: The table does not exist and must not be created, or cannot store rows, or its schema is missing.
    """
    table = tables.find_table(session, name)
    if table is not None and table.kind not in _TAKES_ROWS:
        what = _OTHER_KINDS.get(table.kind, "no table")
        raise UsageError(
            f"{table.name} is {what}, and cannot store rows.", "Name a table, or a view that can be updated."
        )
    if table is None and not create:
        raise UsageError(f"There is no table {name}.", "Create it first, or give --create.")
    if table is None:
        schema = tables.name_for_new_table(session, name).schema
        if schema is None or not tables.schema_exists(session, schema):
            raise UsageError(f"There is no schema for the table {name}.", "Create the schema first.")
    return table


_TAKES_ROWS = ("r", "p", "v", "f")
"""The relkinds in pg_class of a table, partitioned table, view and foreign table."""


_OTHER_KINDS = {
    "m": "a materialized view",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a composite type",
    "t": "the TOAST of a table",
}


def settle_target(
    session: Session,
    name: TableName,
    table: Table | None,
    schema: StructType,
    move: Move,
    *,
    defined: Defined = NONE_DEFINED,
) -> Target:
    """Match the data with the table, existing or new, and check that the mode suits it.

    Args:
        session: A session of the table's database.
        name: The table's name.
        table: The table in the catalog, or None if the load creates it.
        schema: The schema of the data.
        move: The mode, its keys and order. Its columns are settled here.
        defined: The columns that the user defines.

    Raises:
        UsageError: The data does not fit, or a definition is wrong.
        LoadError: The table does not suit the mode.
    """
    if table is None:
        return new_target(session, tables.name_for_new_table(session, name), schema, move, defined)
    return existing_target(session, table, schema, move, defined)
