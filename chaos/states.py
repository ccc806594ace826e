"""What a write's tables may hold, whatever broke: the load is there whole or not at all.

What a neighbour did to the table meanwhile was done before the load, or after it.
"""

from __future__ import annotations

from chaos import rows
from chaos.plan import Trial
from chaos.rows import Row

State = tuple[list[Row], list[Row]]
"""The rows of the target, and those of the table that was swapped out."""


def possible(trial: Trial, loaded: list[Row], published: bool, neighbour: bool) -> list[State]:
    """The states that may be found after the disturbed job.

    Args:
        trial: whose.
        loaded: the rows of its input.
        published: the load's marker is there.
        neighbour: somebody else's work on the table was committed, before the load or after it.
    """
    before: list[Row] = rows.old(trial)
    done = rows.after(trial, loaded, before)
    fault = trial.fault if neighbour else ""
    if not published:
        left: dict[str, State] = {"truncate": ([], []), "swap by rename": (before, before)}
        return [left.get(fault, (before, []))]
    orders: dict[str, list[State]] = {
        "truncate": [(rows.after(trial, loaded, []), []), ([], [])],
        "swap by rename": [(done, before), (before, done)],
    }
    return orders.get(fault, [(done, [])])


def final(trial: Trial, loaded: list[Row], published: bool, neighbour: bool) -> list[State]:
    """The states that may be found after the rerun: it loads what was not published, and nothing twice."""
    if published:
        found = possible(trial, loaded, published, neighbour)
    else:
        [(target, swapped)] = possible(trial, loaded, published, neighbour)
        found = [(rows.after(trial, loaded, target), swapped)]
    if trial.fault == "same table" and trial.mode == "append":
        return [(target + loaded, swapped) for target, swapped in found]
    return found
