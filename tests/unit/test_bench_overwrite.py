from __future__ import annotations

import pytest

pytest.importorskip("psutil", reason="psutil is of the group bench, and comes with most machines' group dev")
pytest.importorskip("pyspark")
from bench.errors import BenchError
from bench.overwrite import READERS_WAIT, WRITERS_WAIT, Answer, Measured, held, least, longest


def looks(*modes: str) -> list[Answer]:
    """One look at the locks each second, which takes a tenth of one."""
    return [Answer(at, at + 0.1, [[mode]] if mode else []) for at, mode in enumerate(modes)]


def test_a_lock_is_held_from_the_first_look_that_shows_it_to_the_last_one_in_a_row() -> None:
    seen = looks("", WRITERS_WAIT, "", WRITERS_WAIT, WRITERS_WAIT, WRITERS_WAIT, "", READERS_WAIT)
    assert held(seen, WRITERS_WAIT) == pytest.approx(2.1)
    assert held(seen, READERS_WAIT) == pytest.approx(0.1)
    assert held(looks("", ""), READERS_WAIT) == 0


def test_the_longest_read_counts() -> None:
    assert longest([Answer(1.0, 1.5, []), Answer(2.0, 5.0, []), Answer(5.0, 5.1, [])]) == 3.0


def test_a_reader_may_see_the_old_rows_or_the_new_ones() -> None:
    old, new = Answer(0, 1, [[1000, 0]]), Answer(1, 2, [[1000, 10]])
    assert least([old, old, new], rows=1000, changed=10) == 1000


@pytest.mark.parametrize("strange", [[0, 0], [2000, 10], [1000, 9], [990, 0]])
def test_a_reader_that_sees_anything_else_ends_the_benchmark(strange: list[int]) -> None:
    with pytest.raises(BenchError, match="a reader saw"):
        least([Answer(0, 1, [[1000, 0]]), Answer(1, 2, [strange])], rows=1000, changed=10)


def test_a_line_has_seconds_and_megabytes() -> None:
    line = Measured("truncate", "1 %", 12.34, 150e6, (100_000_000, 110_400_000), 3.456, 2.5, 2.517, 1_000_000)
    assert str(line) == "| truncate | 1 % | 12.3 | 150 | 100 | 110 | 3.46 | 2.50 | 2.52 | 1,000,000 |"
