"""A release: the table of a trial, one that refers to it, and one that refers to that, in modes of their own.

Each row of the two names the release that wrote it. So a reader who joins the tables can tell two releases apart.
"""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from chaos.data import rows
from chaos.errors import ChaosError
from chaos.plan.draw import OVERLAP, ROWS, Trial
from chaos.stage.server import Database

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

PAUSE = 0.1
"""Seconds between two looks of the reader."""

_WITHIN_A_LOOK = 0.01
"""Seconds between its statements, which are of one snapshot."""


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
    kept = range(rows.first_old(trial), rows.first_old(trial) + OVERLAP)
    child = Referencing("child", "target", range(ROWS), kept, 3_000, modes[trial.seed % len(modes)])
    kept = range(child.first_old, child.first_old + OLD)
    mode = modes[trial.seed // len(modes) % len(modes)]
    last = Referencing("grandchild", "child", range(child.count), kept, 1_000, mode, deferrable=trial.seed % 2 == 0)
    return child, replace(last, created=trial.seed % CREATED == 1)


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
    yield _SEEN
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


def manifest(trial: Trial, folder: Path, identity: str, target: Mapping[str, Any]) -> str:
    """Return the manifest of a release. Tables that others refer to come last: their keys decide, and not the order.

    Args:
        trial: The trial.
        folder: The folder below which `write` has written.
        identity: The load id.
        target: The entry of the trial's own table.
    """
    hint = "/*+ REPARTITION(2, id) */ " if trial.input == "shuffled" else ""
    select = f"SELECT {hint}id, parent, '{identity}' AS release, text FROM source"
    entries = [
        {
            "table": f"shop.{table.name}",
            "source": str(folder / table.name),
            "select": select,
            **(
                {"mode": "overwrite", "overwrite-strategy": "diff"}
                if table.mode == DIFFERENCE
                else {"mode": table.mode}
            ),
            **({} if table.mode in ("append", "overwrite") else {"keys": "id"}),
            **({"column-type": f"parent=bigint NOT NULL REFERENCES shop.{table.parent}"} if table.created else {}),
        }
        for table in reversed(referencing(trial))
    ]
    return json.dumps({"format": "parquet", "tables": [*entries, target]})


def rows_of(database: Database, table: Referencing) -> list[list[Any]]:
    """Return the rows of a table, as psql prints them; none if it does not exist."""
    if not database.run(f"SELECT to_regclass('shop.{table.name}')").strip():
        return []
    return database.as_json(f"SELECT json_build_array(id, parent, release, text) FROM shop.{table.name} ORDER BY id")


def recorded(database: Database, identity: str) -> list[str]:
    """Return the tables that the marker names."""
    [names] = database.as_json(f"SELECT target_table FROM public.table_updates WHERE update_id = '{identity}'")
    return names


@dataclass(frozen=True)
class Seen:
    """What a reader saw in one snapshot.

    Attributes:
        counts: Of the trial's own table and of those that refer to it: how many rows there are that only a release has.
        releases: Of the latter: the releases of these rows.
        orphans: How many rows of the last table lead to no row of the first.
    """

    counts: tuple[int, ...]
    releases: tuple[tuple[str, ...], ...]
    orphans: int


def contradictions(trial: Trial, seen: Seen) -> Iterator[str]:
    """Yield what a reader must not see, whenever he looks: a part of a release, or rows of two of them."""
    tables = referencing(trial)
    whole = (rows.first_old(trial), *(table.first_old for table in tables))
    if seen.counts not in (whole, (0,) * len(whole)):
        yield f"{seen.counts} rows of a release of {whole}"
    if any(len(found) > 1 for found in seen.releases):
        yield f"rows of two releases in one table: {seen.releases}"
    for last_wins in (True, False):
        alike = {found for table, found in zip(tables, seen.releases) if table.last_wins == last_wins}
        if len(alike) > 1:
            yield f"rows of another release in each table: {sorted(alike)}"
    if seen.orphans:
        yield f"{seen.orphans} rows without those that they refer to"


class Reader:
    """Joins the tables in one snapshot after the other, beside the jobs, and keeps what it must not see.

    Attributes:
        looks: How often it has looked.
        complaints: What it must not see.
    """

    def __init__(self, trial: Trial, database: Database) -> None:
        self.looks = 0
        self.complaints: list[str] = []
        self._trial = trial
        self._database = database
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        if not self.looks:
            self.complaints.append("the reader never saw the tables")

    def _read(self) -> None:
        while not self._ended.is_set():
            with suppress(ChaosError, subprocess.TimeoutExpired):  # the server does not answer: it is restarted
                seen = self._look()
                self.looks += 1
                found = [f"a reader saw {what}" for what in contradictions(self._trial, seen)]
                self.complaints += [complaint for complaint in found if complaint not in self.complaints]
            self._ended.wait(PAUSE)

    def _look(self) -> Seen:
        tables = referencing(self._trial)
        pause = f"SELECT pg_sleep({_WITHIN_A_LOOK})"
        output = self._database.run(
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            *_before_a_snapshot(self._trial),
            f"SELECT json_build_array(count(*)) FROM shop.target WHERE id < {rows.first_old(self._trial)}",
            *(statement for table in tables for statement in (pause, _seen_of(table.name, _of(table)))),
            _seen_of("grandchild", _ORPHANS),
            "COMMIT",
        )
        return _seen([json.loads(line) for line in output.split("\n") if line])


def _before_a_snapshot(trial: Trial) -> list[str]:
    """Return what keeps another session from rewriting the table between a look's snapshot and its reading.

    ALTER TABLE writes the rows anew as if they were inserted then: they are in no older snapshot, and the table would
    look empty. The release itself must not do that: in other trials, the reader locks nothing.
    """
    return ["LOCK TABLE shop.target IN ACCESS SHARE MODE"] if trial.fault == "rewrite" else []


_SEEN = """
CREATE FUNCTION seen (name text, query text) RETURNS json LANGUAGE plpgsql AS $$
    DECLARE result json;
    BEGIN
        IF to_regclass('shop.' || name) IS NULL THEN RETURN '[0, []]'; END IF;
        EXECUTE query INTO result;
        RETURN result;
    END $$
"""
"""A function that returns what a query of a table says, which may not exist yet."""

_ORPHANS = (
    "SELECT json_build_array(count(*)) FROM shop.grandchild AS g LEFT JOIN shop.child AS c ON c.id = g.parent "
    "LEFT JOIN shop.target AS t ON t.id = c.parent WHERE t.id IS NULL"
)


def _seen_of(table: str, query: str) -> str:
    return f"SELECT shop.seen('{table}', $${query}$$)"


def _of(table: Referencing) -> str:
    return (
        "SELECT json_build_array(count(*), coalesce(json_agg(DISTINCT release), '[]')) "
        f"FROM shop.{table.name} WHERE id < {table.first_old}"
    )


def _seen(answers: Sequence[Any]) -> Seen:
    *counted, orphans = answers
    return Seen(tuple(one[0] for one in counted), tuple(tuple(one[1]) for one in counted[1:]), orphans[0])
