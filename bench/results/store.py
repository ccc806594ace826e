"""The figures of a scale as a JSON file, written after each run, so that an interrupted benchmark is continued.

Runs are kept as long as what they measure is the same: the code of src, the versions, the machine, the data. Otherwise
the file is renamed, and a new one begun.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.results.figures import Figures, median, spread

if TYPE_CHECKING:
    from collections.abc import Mapping

SAME = ("code", "data", "server", "versions", "cores")
"""What has to be the same for runs to be compared."""


@dataclass
class Store:
    """The runs of a scale so far.

    Attributes:
        about: What the figures depend on.
        runs: By the label of the way.
    """

    path: Path
    about: Mapping[str, Any]
    runs: dict[str, list[Figures]] = field(default_factory=lambda: defaultdict(list))

    def add(self, label: str, figures: Figures) -> None:
        """Add a run, and write all."""
        self.runs[label].append(figures)
        whole = json.dumps(as_json(self.about, self.runs), indent=1) + "\n"
        beside = self.path.with_suffix(".new")
        beside.write_text(whole)
        beside.replace(self.path)  # so that an interruption leaves a whole file


def open_store(path: Path, about: Mapping[str, Any], *, fresh: bool = False) -> Store:
    """Return the store of a file, with its runs if they can be continued.

    Args:
        path: The file, which may be missing.
        about: What the figures depend on.
        fresh: Whether to begin anew in any case.
    """
    about = json.loads(json.dumps(about))  # tuples become lists, as they are in the file
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        return Store(path, about)
    stored = json.loads(path.read_text())
    if not fresh and all(stored["about"].get(name) == about.get(name) for name in SAME):
        return Store(path, about, defaultdict(list, runs_of(stored)))
    changed = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    path.rename(path.with_name(f"{path.stem}-until-{changed:%Y-%m-%dT%H%M%S}.json"))
    return Store(path, about)


def runs_of(stored: Mapping[str, Any]) -> dict[str, list[Figures]]:
    """Return the runs of what was stored, by the label of the way."""
    return {label: [Figures(**run) for run in way["runs"]] for label, way in stored["ways"].items()}


def as_json(about: Mapping[str, Any], runs: Mapping[str, list[Figures]]) -> dict[str, Any]:
    """Return everything as JSON: of each way the medians, the smallest and largest figures, and each run."""
    ways = {
        label: {**asdict(median(of_way)), "spread": spread(of_way), "runs": [asdict(run) for run in of_way]}
        for label, of_way in runs.items()
        if of_way
    }
    return {"about": about, "ways": ways}


def code(source: Path) -> str:
    """Return a hash of the Python files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(source.rglob("*.py")):
        digest.update(os.fsencode(path.relative_to(source)) + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
