"""A reader of a release, who joins its tables beside the jobs, and what such a reader must not see."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from chaos.data import contents
from chaos.data.release import Referencing, referencing
from chaos.errors import ChaosError
from chaos.plan.trial import Trial
from chaos.stage.database import Database

PAUSE = 0.1
"""Seconds between two looks of the reader."""

_WITHIN_A_LOOK = 0.01
"""Seconds between its statements, which are of one snapshot."""


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
    whole = (contents.first_old(trial), *(table.first_old for table in tables))
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
        self._database.run(_SEEN)
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
            f"SELECT json_build_array(count(*)) FROM shop.target WHERE id < {contents.first_old(self._trial)}",
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
CREATE FUNCTION shop.seen (name text, query text) RETURNS json LANGUAGE plpgsql AS $$
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
