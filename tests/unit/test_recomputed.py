"""What the numbers of tasks tell: whether somebody read a shuffle before it was computed anew."""

from __future__ import annotations

import pytest

from jobs.spark.plans.recomputed import Shuffles, Tasks, is_torn

BELOW, ABOVE = 1, 2


def shuffles(below: Tasks | None, above: Tasks | None) -> Shuffles:
    """Parts read one shuffle, whose tasks read another one."""
    return {BELOW: (below, frozenset()), ABOVE: (above, frozenset([BELOW]))}


@pytest.mark.parametrize(
    ("below", "above", "parts", "torn"),
    [
        ((0, 9), (10, 19), (20, 29), False),
        ((0, 9), (10, 25), (20, 29), True),
        ((0, 15), (10, 19), (20, 29), True),
        ((0, 30), (31, 39), (40, 49), False),
        ((0, 22), (10, 19), (30, 39), True),
    ],
    ids=[
        "never anew",
        "anew under a part",
        "anew under a task of the shuffle above",
        "anew, and all above it, too",
        "anew under the shuffle above, whose outputs were kept",
    ],
)
def test_outputs_that_are_younger_than_a_reader_are_torn(
    below: tuple[int, int], above: tuple[int, int], parts: tuple[int, int], torn: bool
) -> None:
    known = shuffles(Tasks(*below), Tasks(*above))
    assert is_torn(Tasks(*parts), frozenset([ABOVE]), known) == torn


def test_a_shuffle_that_was_never_computed_was_not_read() -> None:
    """What is cached above it was."""
    assert not is_torn(Tasks(5, 6), frozenset([ABOVE]), shuffles(None, None))


def test_an_input_without_shuffle_cannot_be_torn() -> None:
    assert not is_torn(Tasks(5, 6), frozenset(), {})


def test_tasks_are_of_their_first_and_last_number() -> None:
    assert (Tasks.of([7, 3, 5]), Tasks.of([])) == (Tasks(3, 7), None)
