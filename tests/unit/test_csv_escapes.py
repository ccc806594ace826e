"""Whether a backslash escapes quotes in CSV files, by what each way of reading makes of them."""

from __future__ import annotations

import pytest

from jobs.spark.sources.csv_escapes import Read, escapes

WHOLE, OTHERWISE = Read(9, 0, 1), Read(8, 0, 2)


@pytest.mark.parametrize(
    ("by_backslash", "by_quote", "decided"),
    [
        (WHOLE, WHOLE, False),
        (WHOLE, OTHERWISE, None),
        (WHOLE, None, True),
        (None, WHOLE, False),
        (None, None, False),
        (WHOLE, Read(9, 1, 1), True),
        (Read(9, 1, 1), WHOLE, False),
        (Read(9, 1, 1), Read(9, 2, 1), None),
    ],
)
def test_the_way_that_reads_all_records_is_taken_and_two_such_ways_are_told(
    by_backslash: Read | None, by_quote: Read | None, decided: bool | None
) -> None:
    assert escapes(by_backslash, by_quote) is decided
