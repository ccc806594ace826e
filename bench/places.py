"""Where things are: the clone, and below its build folder the data and the results."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bench"
RESULTS = FOLDER / "results"
