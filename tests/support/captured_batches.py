"""The batches of changes that `make chaos` writes for a table that follows them, of fewer keys than in a trial."""

from __future__ import annotations

from pathlib import Path

from chaos.data.batches import READ, Capture, batches
from chaos.data.rows import loaded
from chaos.plan.draw import draw
from chaos.plan.flows import FOLLOW

TRIALS = [draw(seed) for seed in range(1, 2_000) if draw(seed).flow == FOLLOW]

FIRST, ALL = 500, 600
"""The keys that are there at first, and that are ever inserted."""


def write_batches(folder: Path) -> Path:
    """Write all that is written in a trial, and return the folder."""
    trial = TRIALS[0]
    capture = Capture(trial, folder, range(ALL))
    capture.copy(loaded(trial, FIRST))
    capture.change()
    assert list(batches(folder)) == [*range(1, READ + 1)]
    capture.begin()
    capture.complete()
    capture.complete()
    capture.leave_and_tell()
    capture.change()
    return folder
