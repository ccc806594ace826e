"""What a table holds before a load, and what it holds once the load was published."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from chaos.data.rows import EPOCH, Row
from chaos.plan.flows import PARTITIONS
from chaos.plan.ids import DELETED, LEAVES_WINDOW, LEFT_OUT, OVERLAP, ROWS, UNTOUCHED
from chaos.plan.trial import Trial


def first_old(trial: Trial) -> int:
    """Return the lowest id of the rows that a table has before. Those of an append have no key of a loaded row."""
    return ROWS if trial.mode == "append" else ROWS - OVERLAP


def old_ids(trial: Trial) -> list[range]:
    """Return the ids of the rows that a table has before."""
    ids = [range(first_old(trial), ROWS + OVERLAP)]
    return [*ids, range(UNTOUCHED, UNTOUCHED + OVERLAP)] if trial.flow == PARTITIONS else ids


def insert_old(trial: Trial) -> str:
    """Return the SQL that inserts the rows that a table has before."""
    series = " UNION ALL ".join(f"SELECT generate_series({ids.start}, {ids.stop - 1})" for ids in old_ids(trial))
    return (
        "INSERT INTO target SELECT id, DATE '2020-01-01', 'old ' || id, 1.50, to_timestamp(id), '\\x00', '{old}' "
        f"FROM ({series}) AS ids (id)"
    )


def old(trial: Trial) -> list[Row]:
    """Return the same rows."""
    if trial.target == "new":
        return []
    return [
        (key, date(2020, 1, 1), f"old {key}", Decimal("1.50"), EPOCH + timedelta(seconds=key), b"\0", ["old"])
        for ids in old_ids(trial)
        for key in ids
    ]


def after(trial: Trial, rows: list[Row], before: list[Row]) -> list[Row]:
    """Return the rows of a table after the load was published.

    Args:
        trial: The trial.
        rows: The rows of the load.
        before: The rows of the table.
    """
    if trial.scripts:
        before = [row for row in before if row[0] != LEAVES_WINDOW]
        return [row for row in _moved(trial, rows, before) if row[0] != LEFT_OUT]
    return _moved(trial, rows, before)


def _moved(trial: Trial, rows: list[Row], before: list[Row]) -> list[Row]:
    if trial.mode == "overwrite" and not trial.slice:
        return rows
    if trial.changes:
        return [row for row in rows if row[0] % DELETED != 1]
    if trial.flow == PARTITIONS:
        return rows + [row for row in before if row[0] >= UNTOUCHED]
    if trial.mode in ("upsert", "overwrite"):
        return rows + [row for row in before if row[0] >= ROWS]
    if trial.mode == "ignore":
        old_ids = {row[0] for row in before}
        return before + [row for row in rows if row[0] not in old_ids]
    return before + rows
