"""The batches of a capture: written while a table that follows them is loaded, and the rows that they add up to.

The folder gets batches of changes before, during and after the disturbed load. The last one before it is not complete
until the fault strikes, and one is never completed. What a table must hold is read from the files themselves.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.data import rows
from chaos.plan.ids import ROWS
from chaos.plan.trial import Trial

FILES = 2
"""Files of a batch."""

READ = 3
"""The newest batch that is complete when the disturbed load begins."""

SCHEMA = pa.schema([("_op", pa.string()), ("_key", pa.string()), ("_ordinal", pa.int64()), *rows.SCHEMA])

KEYS = range(ROWS + 1_000)
"""The keys that are ever inserted. The last ones are not there at first."""

_GONE = 10
"""One in so many of the rows that a batch changes is deleted."""

_NEW = 2
"""One in so many of a batch's keys that are not there is inserted."""

_COMPLETE = "_SUCCESS"

Change = tuple[str, rows.Row]
"""`I`, `U` or `D`, and the row. Of a row that is deleted, only the key is told."""


class Capture:
    """Writes the batches of changes of a table, as a capture does.

    Args:
        trial: The trial.
        folder: The folder of the batches.
        keys: The keys that are ever inserted.
    """

    def __init__(self, trial: Trial, folder: Path, keys: Sequence[int] = KEYS) -> None:
        self._trial = trial
        self._folder = folder
        self._keys = keys
        self._there: set[int] = set()
        self._number = 0
        self._pending: tuple[Path, set[int]] | None = None

    def copy(self, loaded: Sequence[rows.Row]) -> None:
        """Write all rows of the table, as the first batch."""
        self._there = {row[0] for row in loaded}
        (self._write([("I", row) for row in loaded]) / _COMPLETE).touch()

    def change(self) -> None:
        """Write two batches. Together they change each key, and some of them twice."""
        choose = self._random()
        half = set(choose.sample(self._keys, len(self._keys) // 2))
        self._tell(half)
        again = set(choose.sample(sorted(half), len(half) // 2))
        self._tell(set(self._keys) - half | again)

    def begin(self) -> None:
        """Write a batch that is not complete."""
        changes, there = self._changes(self._third())
        self._pending = self._write(changes), there

    def complete(self) -> None:
        """Complete the batch that was begun, unless this was done."""
        pending, self._pending = self._pending, None
        if pending is not None:
            folder, self._there = pending
            (folder / _COMPLETE).touch()

    def leave_and_tell(self) -> None:
        """Begin a batch that is never completed. The next one tells other changes of the same keys."""
        self.begin()
        self._pending = None
        self._tell(self._third())

    def _tell(self, keys: set[int]) -> None:
        changes, self._there = self._changes(keys)
        (self._write(changes) / _COMPLETE).touch()

    def _third(self) -> set[int]:
        return set(self._random().sample(self._keys, len(self._keys) // 3))

    def _random(self) -> random.Random:
        return random.Random(f"{self._trial.seed} {self._number}")  # noqa: S311 - repeatable values, and no secret

    def _changes(self, keys: set[int]) -> tuple[list[Change], set[int]]:
        """Return changes of keys, and the keys that are there afterwards. Of those that are not, some are inserted."""
        choose = self._random()
        old, missing = sorted(keys & self._there), sorted(keys - self._there)
        gone = set(choose.sample(old, len(old) // _GONE))
        new = set(choose.sample(missing, len(missing) // _NEW))
        written = sorted({*old, *new} - gone)
        nothing = (None,) * (len(rows.SCHEMA) - 1)
        changes: list[Change] = [("I" if key in new else "U", rows.row(choose, key)) for key in written]
        changes += [("D", (key, *nothing)) for key in gone]
        choose.shuffle(changes)
        return changes, self._there - gone | new

    def _write(self, changes: Sequence[Change]) -> Path:
        self._number += 1
        folder = self._folder / f"pgjobs_batch={self._number:012d}"
        folder.mkdir(parents=True)
        for number in range(FILES):
            told = [(operation, json.dumps([row[0]]), None, *row) for operation, row in changes[number::FILES]]
            columns = [pa.array(values, field.type) for values, field in zip(zip(*told), SCHEMA)]
            pq.write_table(pa.table(columns, SCHEMA), folder / f"{number}.parquet")
        return folder


def batches(folder: Path) -> dict[int, Path]:
    """Return the complete batches of a folder, by their numbers and in their order."""
    found = {int(path.name.partition("=")[2]): path for path in folder.iterdir() if (path / _COMPLETE).exists()}
    return dict(sorted(found.items()))


def held(folder: Path, last: int) -> list[rows.Row]:
    """Return the rows that a table has which has read all batches up to one."""
    there: dict[int, rows.Row] = {}
    for batch in (batch for number, batch in batches(folder).items() if number <= last):
        table = pq.ParquetDataset(batch, partitioning=None).read(["_op", *rows.SCHEMA.names])
        for operation, *row in zip(*(column.to_pylist() for column in table.columns)):
            if operation == "D":
                there.pop(row[0], None)
            else:
                there[row[0]] = tuple(row)
    return list(there.values())
