"""Which of Spark's types fits which column, as the server stores their values."""

from __future__ import annotations

import pytest
from pyspark.sql import types as t

from jobs.copyformat.write_types import fits
from jobs.dbaccess.catalog import tables
from jobs.dbaccess.session import Session
from jobs.dbaccess.sql import TableName

YEARS, MONTHS = t.YearMonthIntervalType(0, 0), t.YearMonthIntervalType(0, 1)
DAYS, HOURS, SECONDS = t.DayTimeIntervalType(0, 0), t.DayTimeIntervalType(0, 1), t.DayTimeIntervalType(0, 3)
VALUES: dict[t.DataType, str] = {
    YEARS: "3 years",
    MONTHS: "3 years 2 months",
    DAYS: "4 days",
    HOURS: "4 days 5 hours",
    SECONDS: "4 days 5 hours 6 minutes 7.5 seconds",
}
STORED = ["", "year", "month", "year to month", "day", "hour", "minute", "second", "day to hour", "day to second"]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.simpleString())
def test_an_interval_fits_a_column_that_stores_all_of_its_fields(session: Session, kind: t.DataType) -> None:
    columns = [f"c{number} interval {fields}" for number, fields in enumerate(STORED)]
    session.run(f"CREATE TABLE t ({', '.join(columns)}, a interval year[], p interval day to second(3))")
    kept = ", ".join(f"'{VALUES[kind]}'::interval {fields} = '{VALUES[kind]}'" for fields in STORED)
    table = tables.find_table(session, TableName("t"))
    assert table is not None
    *columns_, array, precise = table.columns
    assert [fits(kind, column) for column in columns_] == session.run(f"SELECT {kept}")[0]
    assert fits(t.ArrayType(kind), array) is (kind == YEARS)
    assert fits(kind, precise)
