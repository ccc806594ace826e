"""The names that a job is given: its tables, its load id, its keys."""

from __future__ import annotations

from chaos.plan.trial import Trial

TABLE = "shop.target"

BEFORE, NEXT = "/before", "/next"
"""What the ids of the loads before and after the trial's own add to it, if its table follows a capture."""

ORIGIN = "shop.origin"
"""What is copied."""


def load_id(trial: Trial) -> str:
    """Return the trial's load id."""
    return f"chaos/{trial.seed}"


def keys(trial: Trial) -> str:
    """Return the key columns of its mode; empty for modes without keys."""
    return "id" if trial.mode in ("upsert", "ignore") or trial.difference else ""
