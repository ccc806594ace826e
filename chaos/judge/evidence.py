"""What the tables of a trial hold, by psql."""

from __future__ import annotations

from typing import Any

from chaos.data.release import Referencing
from chaos.data.rows import AS_JSON
from chaos.stage.database import Database


def marker(database: Database, load_id: str) -> bool:
    """Return whether the ledger contains a load."""
    if not database.run("SELECT to_regclass('public.table_updates')").strip():
        return False
    return bool(database.run(f"SELECT 1 FROM public.table_updates WHERE update_id = '{load_id}'").strip())


def table(database: Database, name: str) -> list[list[Any]]:
    """Return the rows of a table, as `rows.as_json` prints them; empty if the table does not exist."""
    if not database.run(f"SELECT to_regclass('shop.{name}')").strip():
        return []
    return database.as_json(f"SELECT {AS_JSON} FROM shop.{name} ORDER BY id")


def source(database: Database, table: str = "target") -> list[tuple[Any, ...]]:
    """Return the rows of a table that is read, or of its copy."""
    return [
        tuple(row)
        for row in database.as_json(f"SELECT json_build_array(id, version, text) FROM shop.{table} ORDER BY id")
    ]


def rejects(database: Database, identity: str) -> list[str]:
    """Return the ids of the rows that a load put aside, in their order; none if there is not a table of them."""
    if not database.run("SELECT to_regclass('shop.target_rejects')").strip():
        return []
    return database.run(
        f"SELECT row->>'id' FROM shop.target_rejects WHERE load_id = '{identity}' ORDER BY (row->>'id')::bigint"
    ).split()


def rows_of(database: Database, table: Referencing) -> list[list[Any]]:
    """Return the rows of a table, as psql prints them; none if it does not exist."""
    if not database.run(f"SELECT to_regclass('shop.{table.name}')").strip():
        return []
    return database.as_json(f"SELECT json_build_array(id, parent, release, text) FROM shop.{table.name} ORDER BY id")


def recorded(database: Database, identity: str) -> list[str]:
    """Return the tables that the marker names."""
    [names] = database.as_json(f"SELECT target_table FROM public.table_updates WHERE update_id = '{identity}'")
    return names
