"""Determines the state after a job, by psql and PyArrow, and what is wrong with it. It uses no code of the product."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.dataset
import pyarrow.parquet

from chaos.data.rows import AS_JSON
from chaos.errors import ChaosError
from chaos.stage.server import Database
from chaos.stage.spark.drivers import Driver

PATIENCE = 20.0
"""Seconds after a job's end until all of its processes must have ended. An executor of a killed driver is slow."""


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


def difference(found: Sequence[Any], expected: Sequence[Any]) -> str:
    """Return the difference between two lists of rows in a few words; empty if they are equal."""
    if list(found) == list(expected):
        return ""
    extra, missing = Counter(map(repr, found)), Counter(map(repr, expected))
    extra.subtract(map(repr, expected))
    missing.subtract(map(repr, found))
    surplus = [row for row, count in extra.items() if count > 0]
    lost = [row for row, count in missing.items() if count > 0]
    example = f", such as {(lost or surplus)[0][:100]}" if lost or surplus else ", in another order"
    return f"{len(found)} rows for {len(expected)}: {len(lost)} missing, {len(surplus)} too many{example}"


def source(database: Database, table: str = "target") -> list[tuple[Any, ...]]:
    """Return the rows of a table that is read, or of its copy."""
    return [
        tuple(row)
        for row in database.as_json(f"SELECT json_build_array(id, version, text) FROM shop.{table} ORDER BY id")
    ]


def lake(folder: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a folder of Parquet files: those that a stream has committed, or all that are not hidden."""
    files = _committed(folder) if (folder / "_spark_metadata").exists() else _shown(folder)
    if not files:
        return []
    rows = pyarrow.dataset.dataset(files, format="parquet").to_table(columns=["id", "version", "text"]).to_pylist()
    return sorted((row["id"], row["version"], row["text"]) for row in rows)


def _shown(folder: Path) -> list[str]:
    return [
        str(path)
        for path in folder.rglob("*.parquet")
        if not any(part.startswith(("_", ".")) for part in path.relative_to(folder).parts)
    ]


def _committed(folder: Path) -> list[str]:
    """Return the files that the log of a stream's batches names: a file per batch, whose first line is a version."""
    batches = [path for path in (folder / "_spark_metadata").iterdir() if not path.name.startswith(".")]
    lines = [json.loads(line) for batch in batches for line in batch.read_text().splitlines()[1:]]
    return sorted({unquote(urlsplit(line["path"]).path) for line in lines})


def newest(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return the row with the highest version of each id."""
    return sorted({row[0]: row for row in sorted(rows, key=lambda row: row[1])}.values())


Told = dict[int, list[tuple[int, str, Any, Any]]]
"""What an incremental extract with deletes tells of each id: number of the run, operation, version and text."""


def told(folder: Path) -> Told:
    """Return what the runs below a folder tell, in their order."""
    by_id: Told = {}
    for file in _shown(folder):
        run = int(re.search(r"pgjobs_run=(\d+)", file)[1])  # type: ignore[index] # each has one
        for row in pyarrow.parquet.read_table(file, columns=["_op", "id", "version", "text"]).to_pylist():
            by_id.setdefault(row["id"], []).append((run, row["_op"], row["version"], row["text"]))
    return {key: sorted(events, key=lambda event: event[0]) for key, events in by_id.items()}


def folded(told: Told) -> list[tuple[Any, ...]]:
    """Return the rows that a reader has who applies what was told."""
    last = {key: events[-1] for key, events in told.items()}
    return sorted((key, version, text) for key, (_, operation, version, text) in last.items() if operation == "U")


def contradictions(told: Told) -> list[str]:
    """Return what a reader must not be told: an id twice by a run, or as deleted twice, or a version twice."""
    found = []
    for key, events in told.items():
        if len({run for run, *_ in events}) < len(events):
            found.append(f"a run tells {key} twice")
        if any(one[1:] == next_one[1:] for one, next_one in zip(events, events[1:])):
            found.append(f"{key} is told twice: {[event[:3] for event in events]}")
    return found[:3]


def left_in(database: Database, ended: Sequence[Driver]) -> list[str]:
    """Return what is left after a while: staging tables, sessions, advisory locks, processes of killed drivers."""
    return _until_none(lambda: _left_now(database) + [f"process {left}" for driver in ended for left in driver.left])


def _left_now(database: Database) -> list[str]:
    tables = (
        "SELECT 'table ' || relname FROM pg_class "
        "WHERE relname ~ '^pgjobs_(rows|parts|rejects|result)_' AND relkind IN ('r', 'p')"
    )
    sessions = (
        "SELECT 'session ' || application_name || ': ' || left(query, 60) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name LIKE 'pgjobs%' "
        "AND application_name NOT LIKE '%snapshot%'"
    )
    locks = (
        "SELECT 'advisory lock of ' || application_name FROM pg_locks JOIN pg_stat_activity USING (pid) "
        "WHERE locktype = 'advisory' AND datname = current_database() AND application_name NOT LIKE '%snapshot%'"
    )
    claims = "SELECT 'claims: ' || count(*) FROM pgjobs_claims HAVING count(*) > 0"
    with_claims = database.run("SELECT 1 WHERE to_regclass('pgjobs_claims') IS NOT NULL").strip()
    queries = (tables, sessions, locks, *([claims] if with_claims else []))
    return [line for query in queries for line in database.run(query).split("\n") if line]


def _until_none(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            left = look()
        except ChaosError as error:  # the server may be restarting
            left = [str(error)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.1)


def rejects(database: Database, identity: str) -> list[str]:
    """Return the ids of the rows that a load put aside, in their order; none if there is not a table of them."""
    if not database.run("SELECT to_regclass('shop.target_rejects')").strip():
        return []
    return database.run(
        f"SELECT row->>'id' FROM shop.target_rejects WHERE load_id = '{identity}' ORDER BY (row->>'id')::bigint"
    ).split()
