"""make chaos: what a table may hold after a load and another session's change."""

from __future__ import annotations

import pytest

from chaos.judge.states import State, final, possible
from chaos.plan.draw import draw
from chaos.plan.flows import WRITES


@pytest.mark.parametrize("fault", ["truncate", "swap by rename", "cut"])
def test_a_load_is_whole_before_or_after_what_a_neighbour_did_or_not_there(fault: str) -> None:
    trial = next(draw(seed) for seed in range(1, 3001) if _appends(draw(seed).flow, draw(seed).mode, fault, seed))
    old = trial_rows(possible(trial, [], published=False, neighbour=False))
    [loaded] = [[(-1, None, None, None, None, None, None)]]
    published = possible(trial, loaded, published=True, neighbour=True)
    assert {(len(target), len(swapped)) for target, swapped in published} == {
        "truncate": {(1, 0), (0, 0)},
        "swap by rename": {(old + 1, old), (old, old + 1)},
        "cut": {(old + 1, 0)},
    }[fault]
    [(target, _)] = final(trial, loaded, published=False, neighbour=True)
    assert len(target) == (1 if fault == "truncate" else old + 1)


def _appends(flow: str, mode: str, fault: str, seed: int) -> bool:
    return flow in WRITES and mode == "append" and draw(seed).fault == fault and draw(seed).target != "new"


def trial_rows(states: list[State]) -> int:
    [(target, _)] = states
    return len(target)
