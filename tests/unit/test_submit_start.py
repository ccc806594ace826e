"""Which run of a load id is an earlier one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from pgjobs.submit.start import is_earlier


@pytest.mark.parametrize(
    ("age", "took", "earlier"), [(2.0, 1.0, False), (60.0, 1.0, True), (60.0, 55.0, False), (-3.0, 0.0, False)]
)
def test_a_run_older_than_its_own_submission_is_an_earlier_one(age: float, took: float, earlier: bool) -> None:
    answered = datetime(2026, 11, 20, tzinfo=timezone.utc)
    assert is_earlier(answered - timedelta(seconds=age), answered, timedelta(seconds=took)) is earlier
    assert not is_earlier(None, answered, timedelta(0))
