"""Partitions that were attached, by the window that they came in."""

from __future__ import annotations

from jobs.dbaccess.extract.attachments import sorted_by_window
from jobs.dbaccess.extract.window import Window


def test_a_partition_is_new_known_or_later_by_the_last_that_attached_it_or_what_it_is_below_of() -> None:
    chains = [
        [1, [50]],  # before the window
        [2, [50, 120]],
        [3, [130, 50]],
        [4, [120, 210]],  # may still be running
        [5, [120]],
        [5, [50]],  # has two parents, and was known by one of them
    ]
    found = sorted_by_window(Window(100, 200, 220), chains)
    assert (found.whole, found.later) == (((2, 20), (3, 30)), (4,))
    assert sorted_by_window(Window(None, 200, 220), chains).whole == ()


def test_ids_that_wrapped_around_attach_as_others() -> None:
    start = (1 << 32) - 10
    found = sorted_by_window(Window(start, start + 20, start + 30), [[1, [5]], [2, [start + 1]], [3, [start - 1]]])
    assert found.whole == ((1, 15), (2, 1))
