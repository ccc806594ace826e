"""A release: the table of a trial, one that refers to it, and one that refers to that, in modes of their own.

Each row of the two names the release that wrote it. So a reader who joins the tables can tell two releases apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.data import contents, rows
from chaos.plan.ids import OVERLAP, ROWS
from chaos.plan.trial import Trial

OLD = 200
"""Rows that a referencing table has before the release. In all modes but append, it has as many again with keys of the
release's rows."""

DIFFERENCE = "difference"
"""An overwrite that writes only what differs."""

MODES = ("overwrite", "append", "upsert", DIFFERENCE, "ignore")

BEFORE = "before"
"""The release of the rows that are there before."""

CREATED = 3
"""One in so many releases creates the last of its tables."""


@dataclass(frozen=True)
class Referencing:
    """A table of the release that refers to another one.

    Attributes:
        name: The table.
        parent: The table that it refers to.
        parents: The ids there that every release has.
        kept: The ids there that are there before, and that no release deletes.
        count: The rows of a release: their ids begin at 0.
        mode: One of MODES.
        deferrable: Whether its key is.
        created: Whether the release creates it.
    """

    name: str
    parent: str
    parents: range
    kept: range
    count: int
    mode: str
    deferrable: bool = False
    created: bool = False

    @property
    def first_old(self) -> int:
        """The lowest id of the rows that are there before. All below are the release's."""
        return self.count - (0 if self.mode == "append" or self.created else OLD)

    @property
    def last_wins(self) -> bool:
        """Whether the rows of a later release replace those of an earlier one."""
        return self.mode != "ignore"


Row = tuple[int, int, str, "str | None"]
"""An id, that of the row that it refers to, the release, and a text."""


def referencing(trial: Trial) -> tuple[Referencing, Referencing]:
    """Return the tables that refer to the trial's own. Two releases at once append nothing: their keys are the same."""
    modes = [mode for mode in MODES if trial.fault != "same table" or mode != "append"]
    kept = range(contents.first_old(trial), contents.first_old(trial) + OVERLAP)
    mode = modes[trial.seed % len(modes)]
    child = Referencing("child", "target", parents=range(ROWS), kept=kept, count=3_000, mode=mode)
    kept = range(child.first_old, child.first_old + OLD)
    mode = modes[trial.seed // len(modes) % len(modes)]
    last = Referencing("grandchild", "child", parents=range(child.count), kept=kept, count=1_000, mode=mode)
    return child, replace(last, deferrable=trial.seed % 2 == 0, created=trial.seed % CREATED == 1)


def loaded(trial: Trial, table: Referencing, identity: str) -> list[Row]:
    """Return the rows of a release of this load id."""
    choose = random.Random(f"{trial.seed} {table.name}")  # noqa: S311 - repeatable values, and no secret
    texts = (*rows.WORDS, None)
    return [(number, choose.choice(table.parents), identity, choose.choice(texts)) for number in range(table.count)]


def before(table: Referencing) -> list[Row]:
    """Return the rows that a table has before."""
    ids = () if table.created else range(table.first_old, table.count + OLD)
    return [(number, table.kept[number % len(table.kept)], BEFORE, f"old {number}") for number in ids]


def after(trial: Trial, table: Referencing, identity: str, *, published: bool) -> list[Row]:
    """Return the rows of a table, once the release was published or if it was not."""
    old, new = before(table), loaded(trial, table, identity)
    if not published:
        return old
    if table.created or table.mode in ("overwrite", DIFFERENCE):
        return new
    if table.mode == "ignore":
        return new[: table.first_old] + old
    return new + [row for row in old if row[0] >= table.count]


def creating(trial: Trial) -> Iterator[str]:
    """Yield the statements that create and fill the tables that refer to the trial's own."""
    for table in referencing(trial):
        if table.created:
            continue
        key = f"parent bigint NOT NULL REFERENCES {table.parent}{' DEFERRABLE' if table.deferrable else ''}"
        yield f"CREATE TABLE {table.name} (id bigint PRIMARY KEY, {key}, release text NOT NULL, text text)"
        yield f"CREATE INDEX ON {table.name} (parent)"
        yield (
            f"INSERT INTO {table.name} "
            f"SELECT id, {table.kept.start} + id % {len(table.kept)}, '{BEFORE}', 'old ' || id "
            f"FROM generate_series({table.first_old}, {table.count + OLD - 1}) AS id"
        )


def write(trial: Trial, folder: Path) -> None:
    """Write the rows of the release as Parquet files, two for each table. The release itself is named by its query."""
    for table in referencing(trial):
        (folder / table.name).mkdir(parents=True)
        for number in (0, 1):
            columns = [list(values) for values in zip(*loaded(trial, table, "")[number::2])]
            names = {"id": pa.int64(), "parent": pa.int64(), "release": pa.string(), "text": pa.string()}
            arrays = {name: pa.array(values, type_) for (name, type_), values in zip(names.items(), columns)}
            pq.write_table(pa.table(arrays), folder / table.name / f"{number}.parquet")
