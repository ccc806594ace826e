"""What the files of an extract say, by PyArrow."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow.dataset
import pyarrow.parquet


def rows(folder: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a folder of Parquet files: those that a stream has committed, or all that are not hidden."""
    files = _committed(folder) if (folder / "_spark_metadata").exists() else _shown(folder)
    if not files:
        return []
    found = pyarrow.dataset.dataset(files, format="parquet").to_table(columns=["id", "version", "text"]).to_pylist()
    return sorted((row["id"], row["version"], row["text"]) for row in found)


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
