"""Flags state times and rates with their units."""

from __future__ import annotations

import argparse

import pytest

from jobs.cli.quantities import byte_rate, duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("10s", 10), ("10", 10), ("500ms", 0.5), ("2min", 120), ("1.5 h", 5400), ("0.2s", 0.2)]
)
def test_a_time_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(("text", "rate"), [("50MB/s", 5e7), ("50MB", 5e7), ("1.5 GB/s", 1.5e9), ("800kB/s", 8e5)])
def test_a_rate_has_a_unit(text: str, rate: float) -> None:
    assert byte_rate(text) == rate


@pytest.mark.parametrize("text", ["", "0s", "-1s", "10 m", "s", "1e3", "nan", "inf", "10s ", "10,5s"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time above 0"):
        duration(text)


@pytest.mark.parametrize("text", ["", "0MB/s", "50", "50Mb/s", "50MB/min", "-1MB", "nan"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a rate above 0"):
        byte_rate(text)
