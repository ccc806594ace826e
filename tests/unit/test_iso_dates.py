"""PostgreSQL's ISO texts of dates and timestamps as numbers, against Python's own calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.copyformat.text.iso_dates import NotFinite, days, microseconds

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - without zone, as what is compared


@given(st.dates())
def test_days_are_those_of_pythons_calendar(date: dt.date) -> None:
    assert days(date.isoformat()) == (date - EPOCH.date()).days


@given(st.dates(max_value=dt.date(9000, 12, 31)), st.integers(0, 9))
def test_a_calendar_of_400_years_goes_on_before_year_1_and_after_9999(date: dt.date, cycles: int) -> None:
    """146,097 days have 400 years, whatever the first is."""
    late, early = date.year + 400 * cycles, date.year - 400 * (cycles + 23)
    rest = date.isoformat()[4:]
    assert days(f"{late:04d}{rest}") == (date - EPOCH.date()).days + 146_097 * cycles
    assert days(f"{1 - early:04d}{rest} BC") == (date - EPOCH.date()).days - 146_097 * (cycles + 23)


@given(st.datetimes(), st.sampled_from(["", "+00"]))
def test_microseconds_are_those_of_pythons_clock(moment: dt.datetime, zone: str) -> None:
    """PostgreSQL writes no zeros at a fraction's end."""
    text = moment.isoformat(" ")
    text = text.rstrip("0") if moment.microsecond else text
    assert microseconds(text + zone) == (moment - EPOCH) // dt.timedelta(microseconds=1)


@pytest.mark.parametrize("read", [days, microseconds])
@pytest.mark.parametrize("text", ["infinity", "-infinity", "x9"])
def test_what_is_no_finite_timestamp_is_refused(read: Callable[[str], int], text: str) -> None:
    with pytest.raises(NotFinite):
        read(text)
