"""make chaos: what a reader who joins the tables of a release must not see."""

from __future__ import annotations

import pytest

from chaos.data.contents import first_old
from chaos.data.release import referencing
from chaos.judge.reader import Seen, contradictions
from chaos.plan.draw import draw
from chaos.plan.flows import RELEASE

TRIALS = [draw(seed) for seed in range(1, 2_000) if draw(seed).flow == RELEASE]
TRIAL = next(trial for trial in TRIALS if {table.mode for table in referencing(trial)} == {"overwrite", "upsert"})
CHILD, GRANDCHILD = (table.first_old for table in referencing(TRIAL))
ALL = (first_old(TRIAL), CHILD, GRANDCHILD)


@pytest.mark.parametrize(
    "seen", [Seen((0, 0, 0), ((), ()), 0), Seen(ALL, (("a",), ("a",)), 0), Seen(ALL, (("b",), ("b",)), 0)]
)
def test_a_whole_release_or_none_is_no_contradiction(seen: Seen) -> None:
    assert list(contradictions(TRIAL, seen)) == []


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (Seen((*ALL[:2], 0), (("a",), ()), 0), "rows of a release of"),
        (Seen((ALL[0], CHILD - 1, GRANDCHILD), (("a",), ("a",)), 0), "rows of a release of"),
        (Seen(ALL, (("a",), ("b",)), 0), "rows of another release in each table"),
        (Seen(ALL, (("a", "b"), ("a",)), 0), "rows of two releases in one table"),
        (Seen(ALL, (("a",), ("a",)), 3), "3 rows without those that they refer to"),
    ],
)
def test_a_part_of_a_release_or_two_of_them_are_told(seen: Seen, told: str) -> None:
    assert any(told in complaint for complaint in contradictions(TRIAL, seen))
