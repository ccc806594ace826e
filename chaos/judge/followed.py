"""A table that follows a capture: what it must hold is what the complete batches say, up to its position."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaos.data import rows
from chaos.data.batches import batches, held
from chaos.judge import evidence
from chaos.judge.difference import difference
from chaos.stage.database import Database


@dataclass(frozen=True)
class Seen:
    """The trial's table.

    Attributes:
        table: Its rows, as psql prints them.
        batch: Its position; 0 for none.
        load_id: The load that stored the position; empty for none.
        recorded: Whether this load has a marker.
    """

    table: list[list[Any]]
    batch: int = 0
    load_id: str = ""
    recorded: bool = False


def look(database: Database) -> Seen:
    """Return what there is of the trial's table."""
    table = evidence.table(database, "target")
    if not database.run("SELECT to_regclass('public.pgjobs_positions')").strip():
        return Seen(table)
    positions: list[Any] = database.as_json(
        "SELECT json_build_array(version::int, load_id) FROM public.pgjobs_positions WHERE target = 'shop.target' "
        "AND relation = to_regclass('shop.target')"
    )
    if not positions:
        return Seen(table)
    [[batch, load_id]] = positions
    return Seen(table, batch, load_id, evidence.marker(database, load_id))


def contradictions(seen: Seen, folder: Path, by: str | None = None, least: int | None = None) -> Iterator[str]:
    """Yield what is wrong with a table: its rows, its position and its marker have to be one.

    Args:
        seen: The table.
        folder: The folder of the batches.
        by: The load that stored the position; empty for none, None for any.
        least: The batch that was read at least; None for the newest one.
    """
    complete = batches(folder)
    if seen.batch and seen.batch not in complete:
        yield f"the position is batch {seen.batch}, which is not complete"
    if seen.batch < (max(complete) if least is None else least):
        yield f"the position is batch {seen.batch}, and {max(complete)} are complete"
    if by is not None and seen.load_id != by:
        yield f"the position was stored by {seen.load_id!r}, and not by {by!r}"
    if seen.load_id and not seen.recorded:
        yield f"{seen.load_id!r} stored a position, and has no marker"
    different = difference(seen.table, rows.as_json(held(folder, seen.batch)))
    if different:
        yield f"the table at batch {seen.batch}: {different}"
