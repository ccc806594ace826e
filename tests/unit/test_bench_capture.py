from __future__ import annotations

import pytest

pytest.importorskip("psutil", reason="psutil is of the group bench, and comes with most machines' group dev")
from bench.capture import Cost, arrived, compared


def test_what_capturing_costs_is_the_ratio_of_medians() -> None:
    plain, captured = [Cost(1.0, 0.5), Cost(2.0, 1.0), Cost(9.0, 9.0)], [Cost(3.0, 2.0)]
    wall, cpu = compared("COPY", plain, captured, 1.5)
    assert tuple(wall) == ("COPY, s", 2.0, 3.0, 1.5, 1.5)
    assert tuple(cpu) == ("COPY: CPU, s", 1.0, 2.0, 2.0, None)
    assert wall.cells() == ["2.00", "3.00", "1.50", "1.50"]


def test_delays_are_told_by_their_median_and_their_99th_percentile() -> None:
    median, late = arrived([number / 1000 for number in range(200, 0, -1)])
    assert (median.captured, late.captured) == (0.101, 0.199)
    assert median.name.startswith("delay of 200 changes")


def test_there_is_no_ratio_to_a_cpu_that_was_too_short_to_be_counted() -> None:
    _, cpu = compared("COPY", [Cost(0.1, 0.0)], [Cost(0.1, 0.01)], None)
    assert cpu.cells() == ["0.00", "0.01", "", ""]
