"""The progress of a load, as a line."""

from __future__ import annotations

import pytest

from jobs.flows.load.progress import progress_line


@pytest.mark.parametrize(
    ("parts", "all_parts", "bar"), [(0, 4, "...................."), (1, 4, "#####..............."), (0, 0, "#" * 20)]
)
def test_the_progress_line_fills_its_bar_by_parts(parts: int, all_parts: int, bar: str) -> None:
    line = progress_line(parts, all_parts, 1500, 3_000_000, 2.0)
    assert line == f"copy [{bar}] {parts}/{all_parts} parts, 1,500 rows, 1.5 MB/s"
