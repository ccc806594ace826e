"""Converts dates and timestamps to text, by Spark expressions that depend on no setting.

date_format and casts of dates are not used, because `spark.sql.legacy.timeParserPolicy` changes or breaks them.
Timestamps are in UTC, because the server accepts offsets below 16 hours, and Spark's session may have up to 18.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as f
from pyspark.sql import types as t

JULIAN_DAY_OF_1970 = 2_440_588
"""1970-01-01 as a Julian day, `J2440588`: https://www.postgresql.org/docs/current/datatype-datetime.html"""

BEFORE_JULIAN_DAYS = "4714-01-01 BC"
"""A text that PostgreSQL rejects as out of range, in place of a date that it cannot represent."""

_FIRST_YEAR, _LAST_YEAR = 1, 9999
"""The years that are written alike everywhere. PostgreSQL writes earlier ones with BC, later ones without a sign."""

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
"""In seconds."""

_MIDNIGHT = " 00:00:00"


def julian_day(date: Column) -> Column:
    """Return a date by its number: exact in every era and DateStyle, and half the work of a calendar date for Spark."""
    return _julian(f.unix_date(date).cast(t.LongType()) + f.lit(JULIAN_DAY_OF_1970))


def julian_instant(value: Column) -> Column:
    """Return `J2440588 010203.000004+00`: a timestamp by its numbers, the same in every time zone.

    The expression is short, because Spark's generated method grows with it (see `whole_stage`). The digits 010203 are
    the seconds of the day, plus 40 for each minute of the day, plus 4,000 for each hour.
    """
    seconds = f.unix_seconds(value) + f.lit(JULIAN_DAY_OF_1970 * _DAY)
    of_day = seconds % _DAY
    clock = of_day + _div(of_day, _MINUTE) * 40 + _div(of_day, _HOUR) * 4_000
    # The leading 1 preserves their zeros.
    digits = ((clock + 1_000_000) * 1_000_000 + f.pmod(f.unix_micros(value), f.lit(1_000_000))).cast(t.StringType())
    clock_text, fraction = f.substring(digits, 2, 6), f.substring(digits, 8, 6)
    day = _div(seconds + _DAY, _DAY) - 1  # rounded down, while `div` rounds towards 0
    return f.concat(_julian(day), f.lit(" "), clock_text, f.lit("."), fraction, f.lit("+00"))


def _julian(day: Column) -> Column:
    return f.when(day < 0, f.lit(BEFORE_JULIAN_DAYS)).otherwise(f.concat(f.lit("J"), day.cast(t.StringType())))


def _div(value: Column, divisor: int) -> Column:
    return f.call_function("div", value, f.lit(divisor))


def date_text(date: Column) -> Column:
    """Return `2026-11-20`, or in other eras Spark's form: `-0043-03-15`, `+10000-01-01`."""
    text = date.cast(t.TimestampNTZType()).cast(t.StringType())
    return f.left(text, f.length(text) - len(_MIDNIGHT))


def iso(value: Column) -> Column:
    """Return a timestamp without time zone as `2026-11-20T01:02:03.000004`."""
    seconds = f.substring_index(value.cast(t.StringType()), ".", 1)
    fraction = f.right(f.extract(f.lit("SECOND"), value).cast(t.StringType()), f.lit(6))
    return f.concat(f.replace(seconds, f.lit(" "), f.lit("T")), f.lit("."), fraction)


def iso_instant(value: Column) -> Column:
    """Return a timestamp as `2026-11-20T01:02:03.000004Z`."""
    return f.concat(iso(_utc(value)), f.lit("Z"))


def postgres_date(date: Column) -> Column:
    """Return a date as PostgreSQL prints it: `0044-03-15 BC`."""
    return _with_era(date_text(date), f.year(date))


def postgres_timestamp(value: Column) -> Column:
    """Return a timestamp without time zone as PostgreSQL prints it: `2026-11-20 01:02:03.000004`."""
    return _with_era(value.cast(t.StringType()), f.year(value))


def postgres_instant(value: Column) -> Column:
    """Return a timestamp as PostgreSQL prints it in UTC: `2026-11-20 01:02:03.000004+00`."""
    utc = _utc(value)
    return _with_era(f.concat(utc.cast(t.StringType()), f.lit("+00")), f.year(utc))


def _utc(value: Column) -> Column:
    """Return a timestamp in UTC, as a timestamp without time zone."""
    return f.expr("TIMESTAMP_NTZ'1970-01-01'") + f.expr("INTERVAL '0.000001' SECOND") * f.unix_micros(value)


def _with_era(text: Column, year: Column) -> Column:
    """Return Spark's `+10000-01-01` and `-0043-03-15` as `10000-01-01` and `0044-03-15 BC`."""
    before = f.concat(f.format_string("%04d", 1 - year), f.regexp_extract(text, r"^-?\d+(.*)$", 1), f.lit(" BC"))
    return (
        f.when(year.between(_FIRST_YEAR, _LAST_YEAR), text)
        .when(year > _LAST_YEAR, f.substring(text, 2, 50))
        .otherwise(before)
    )
