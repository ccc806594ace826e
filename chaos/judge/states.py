"""What the tables of a write may contain, whatever broke: the load is complete or not there at all.

What another session did to the table meanwhile happened either before or after the load.
"""

from __future__ import annotations

from chaos.data import contents
from chaos.data.rows import Row
from chaos.plan.trial import Trial

State = tuple[list[Row], list[Row]]
"""The rows of the target, and those of the table that was swapped out."""


def possible(trial: Trial, loaded: list[Row], published: bool, neighbour: bool) -> list[State]:
    """Return the valid states after the disturbed job.

    Args:
        trial: The trial.
        loaded: The rows of its input.
        published: Whether the load's marker exists.
        neighbour: Whether another session's change of the table was committed, before or after the load.
    """
    before: list[Row] = contents.old(trial)
    loaded_rows = contents.after(trial, loaded, before)
    fault = trial.fault if neighbour else ""
    if not published:
        left: dict[str, State] = {"truncate": ([], []), "swap by rename": (before, before)}
        return [left.get(fault, (before, []))]
    orders: dict[str, list[State]] = {
        "truncate": [(contents.after(trial, loaded, []), []), ([], [])],
        "swap by rename": [(loaded_rows, before), (before, loaded_rows)],
    }
    return orders.get(fault, [(loaded_rows, [])])


def final(trial: Trial, loaded: list[Row], published: bool, neighbour: bool) -> list[State]:
    """Return the valid states after the rerun, which loads what was not published, and nothing twice."""
    if published:
        states = possible(trial, loaded, published, neighbour)
    else:
        [(target, swapped)] = possible(trial, loaded, published, neighbour)
        states = [(contents.after(trial, loaded, target), swapped)]
    if trial.fault == "same table" and trial.mode == "append":
        return [(contents.after(trial, loaded, target), swapped) for target, swapped in states]
    return states
