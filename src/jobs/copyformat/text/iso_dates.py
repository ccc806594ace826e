"""Converts dates and timestamps of any year from PostgreSQL's ISO text to the numbers that Arrow stores."""

from __future__ import annotations

import re

_DATE = re.compile(r"(\d{4,})-(\d\d)-(\d\d)")
_TIME = re.compile(r"(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(?:([+-])(\d\d)(?::(\d\d))?(?::(\d\d))?)?")

_MARCH = 3
_DAYS_TO_1970 = 719_468
"""Counted from 0000-03-01, the beginning of the years in `days`."""


class NotFinite(ValueError):
    """The text is not a finite date: infinity."""


def days(text: str) -> int:
    """Return the days from 1970-01-01 to `0044-03-15 BC`, in the proleptic Gregorian calendar of PostgreSQL and Spark.

    Raises:
        NotFinite: It is not a finite date.
    """
    date = _DATE.match(text)
    if date is None:
        raise NotFinite
    year, month, day = map(int, date.groups())
    if text.endswith(" BC"):
        year = 1 - year
    # A year that begins in March ends with the leap day.
    # https://howardhinnant.github.io/date_algorithms.html#days_from_civil
    year -= month < _MARCH
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - _DAYS_TO_1970


def microseconds(text: str) -> int:
    """Return the microseconds from 1970-01-01 00:00 to `0044-03-15 12:00:00.5-04:56:02 BC`. The default offset is UTC.

    Raises:
        NotFinite: It is not a finite timestamp.
    """
    whole_days = days(text)
    time = _TIME.search(text)
    if time is None:
        raise NotFinite
    hours, minutes, seconds, fraction, sign, *offset = time.groups()
    east = _seconds(*offset) if sign == "+" else -_seconds(*offset)
    whole = whole_days * 86_400 + _seconds(hours, minutes, seconds) - east
    return whole * 1_000_000 + int((fraction or "").ljust(6, "0"))


def _seconds(hours: str | None, minutes: str | None, seconds: str | None) -> int:
    return (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds or 0)
