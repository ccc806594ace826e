"""Blocks of COPY lines become Arrow's columns."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
from pyspark.sql import types as t

from jobs.copyformat import decode_arrow
from jobs.copyformat.read_types import NOT_FINITE, ExtractColumn
from jobs.dbaccess.errors import ExtractError

DAY, MOMENT = ExtractColumn("day", "", t.DateType()), ExtractColumn("moment", "", t.TimestampNTZType())


def decoded(block: bytes) -> list[pa.RecordBatch]:
    return list(decode_arrow.batches(iter([block]), [DAY, MOMENT]))


@pytest.mark.parametrize("moment", ["2026-11-20 01:02:03", "12026-11-20 01:02:03"])  # PyArrow parses the first one only
def test_a_date_is_its_number_of_days_whatever_the_other_columns_need(moment: str) -> None:
    [batch] = decoded(f"-1\t{moment}\n10957\t\\N\n\\N\t\\N\n".encode())
    assert batch.column(0).to_pylist() == [dt.date(1969, 12, 31), dt.date(2000, 1, 1), None]
    assert batch.column(0).type == pa.date32()


def test_postgresqls_last_date_is_held() -> None:
    [batch] = decoded(b"2145042905\t\\N\n")
    assert batch.column(0).cast(pa.int32()).to_pylist() == [2145042905]


@pytest.mark.parametrize("moment", ["\\N", "12026-11-20 01:02:03"])
def test_a_date_that_is_not_finite_is_refused_by_its_columns_name(moment: str) -> None:
    with pytest.raises(ExtractError, match='The column "day" holds a value'):
        decoded(f"0\t\\N\n{NOT_FINITE}\t{moment}\n".encode())
