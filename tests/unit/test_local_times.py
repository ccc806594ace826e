"""Local times of any year are those of the calendar, and come back as they were written."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.load.partitions.missing.local_times import formatted, months, of_months, parsed, written

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times


@given(st.datetimes())
def test_times_that_datetime_has_are_the_same_here(time: datetime) -> None:
    micros = (time - EPOCH) // timedelta(microseconds=1)
    assert written(micros) == str(time)
    assert parsed(f"{time.isoformat(' ', 'microseconds')} AD") == micros
    assert formatted(micros, "%Y_w%V") == f"{time.year:04}_w{time:%V}"


LAST = (datetime(9999, 12, 31) - EPOCH) // timedelta(microseconds=1)  # noqa: DTZ001 - local times


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (LAST + 86_400_000_000, "10000-01-01 00:00:00"),
        (LAST + 60 * 86_400_000_000, "10000-02-29 00:00:00"),
        (-62_135_596_800_000_000 - 1, "0001-12-31 23:59:59.999999 BC"),
    ],
)
def test_the_calendar_goes_on_where_that_of_datetime_ends(micros: int, text: str) -> None:
    assert written(micros) == text


@given(st.integers(-40_000, 200_000))
def test_a_month_begins_at_one_time_alone(number: int) -> None:
    assert months(of_months(number)) == number
    assert months(of_months(number) + 1) is None
    assert of_months(number) < of_months(number + 1)


@pytest.mark.parametrize("text", [None, "", "infinity", "-infinity"])
def test_what_is_infinite_is_no_time(text: str | None) -> None:
    assert parsed(text) is None
