"""Which of the rows with the same hash the rows are that violate a constraint."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.rejects.places import Misfit, Place
from jobs.flows.load.bad_rows.located import placed
from jobs.spark.origins import Line, Sighting

TWO = (Misfit("(0,1)", 3, 5), Misfit("(0,2)", 3, 5))
LAST = ((7, Line(b"", b"1\t6\t")), (9, Line(b"", b"2\t\t")))
FIRST, SECOND = Place(1, 7, 7), Place(2, None, 9)


def seen(count: int, *files: int, last: int = 2) -> Sighting:
    return Sighting(3, 5, (), count, is_sure=True, files=frozenset(files), last=LAST[2 - last :])


@pytest.mark.parametrize(
    ("misfits", "found", "is_certain", "places"),
    [
        (TWO, seen(2, 1, 2), True, [FIRST, SECOND]),
        (TWO, seen(4, 1, 2), True, [FIRST, SECOND]),
        (TWO, seen(2, 1, 2), False, []),
        (TWO, seen(2, 1), False, [Place(1), Place(1)]),
        (TWO[:1], seen(1, 2, last=1), True, [SECOND]),
        (TWO, seen(1, 1, last=1), True, []),
    ],
    ids=["all", "the last of equal rows", "unequal rows", "unequal rows of one file", "one", "too few"],
)
def test_a_place_is_told_only_if_it_is_certain(
    misfits: tuple[Misfit, ...], found: Sighting, is_certain: bool, places: list[Place]
) -> None:
    told = list(placed(misfits, found, is_certain=is_certain))
    assert told == list(zip([misfit.staged for misfit in misfits], places))
