"""Local times as microseconds since 1970-01-01 00:00: of any year, while datetime has only the years 1 to 9999.

The day after 9999-12-31 is the upper bound of many a last partition. The calendar repeats itself every 400 years, so a
time is computed in the years 2000 to 2399.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

MICROSECONDS_OF_A_DAY = 86_400_000_000

READ = "YYYY-MM-DD HH24:MI:SS.US BC"
"""How to_char writes a local time for `parsed`."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - local times
_DAYS_TO_1970 = _EPOCH.toordinal()
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
_FIRST = 2000


def parsed(text: str | None) -> int | None:
    """Return a time that the server wrote as READ; None if it is infinite, or NULL."""
    year, _, rest = (text or "").partition("-")
    if not year.isdigit():
        return None
    number = 1 - int(year) if rest.endswith("BC") else int(year)
    cycles, place = divmod(number - _FIRST, _CYCLE_YEARS)
    within = datetime.fromisoformat(f"{_FIRST + place}-{rest[:-3]}") - _EPOCH
    return cycles * _CYCLE_DAYS * MICROSECONDS_OF_A_DAY + within // timedelta(microseconds=1)


def written(time: int) -> str:
    """Return a time as the server reads it: `10000-01-01 00:00:00`, `0044-03-15 12:00:00.500000 BC`."""
    year, within = _year_and_time(time)
    text = f"{within:%m-%d} {within.time()}"
    return f"{year:04}-{text}" if year > 0 else f"{1 - year:04}-{text} BC"


def formatted(time: int, form: str) -> str:
    """Return a time by a format of strftime. Its year has at least four digits, on each platform."""
    year, within = _year_and_time(time)
    return within.strftime(form.replace("%Y", f"{year:04}"))


def of_months(months: int) -> int:
    """Return the time at which the month begins that is so many months after January 1970."""
    cycles, place = divmod((1970 - _FIRST) * 12 + months, _CYCLE_YEARS * 12)
    begins = date(_FIRST + place // 12, place % 12 + 1, 1)
    return (cycles * _CYCLE_DAYS + begins.toordinal() - _DAYS_TO_1970) * MICROSECONDS_OF_A_DAY


def months(time: int) -> int | None:
    """Return how many months after January 1970 the month is that begins at a time; None if none does."""
    year, within = _year_and_time(time)
    number = (year - 1970) * 12 + within.month - 1
    return number if of_months(number) == time else None


def _year_and_time(time: int) -> tuple[int, datetime]:
    """Return the year of a time, and the same time in a year from 2000 on that has the same calendar."""
    days, rest = divmod(time, MICROSECONDS_OF_A_DAY)
    cycles, place = divmod(days + _DAYS_TO_1970 - date(_FIRST, 1, 1).toordinal(), _CYCLE_DAYS)
    within = datetime(_FIRST, 1, 1) + timedelta(place, microseconds=rest)  # noqa: DTZ001 - as above
    return within.year + cycles * _CYCLE_YEARS, within
