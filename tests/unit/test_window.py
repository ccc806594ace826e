"""Windows of transactions: each id that can be told apart is in one of them, also where ids wrap around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qualified import unqualified

from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.extract.window import Window, window_since

FIRST_XID = 3  # below are those of the system itself


XIDS = st.integers(FIRST_XID, 1 << 34)


def holds(taken: Window, xid: int) -> bool:
    """The window's condition for a row version, as PostgreSQL has it: of what is not below 0, its mod is Python's %."""
    condition = unqualified(taken.condition).replace("xmin::text::bigint", str(xid % (1 << 32)))
    return bool(eval(condition, {"mod": lambda a, b: a % b}))  # noqa: S307 - our own text


@given(start=XIDS, length=st.integers(0, 10**6), data=st.data())
def test_a_row_version_is_new_where_its_transaction_is_in_the_window(
    start: int, length: int, data: st.DataObject
) -> None:
    xmin = start + length
    written = data.draw(st.integers(max(FIRST_XID, start - 2**30), start + 2**30))
    taken = window_since(f"{xmin}:{xmin + 5}:", start)
    assert holds(taken, written) == (start <= written < xmin)


@given(xmin=XIDS, running=st.integers(1, 10**6), data=st.data())
def test_the_first_run_takes_all_but_what_may_still_be_running(xmin: int, running: int, data: st.DataObject) -> None:
    xmax = xmin + running
    written = data.draw(st.integers(max(FIRST_XID, xmin - 2**31), xmax - 1))
    assert holds(window_since(f"{xmin}:{xmax}:", 0), written) == (written < xmin)


def test_a_run_begins_where_the_last_one_ended() -> None:
    first = window_since("100:120:105,110", 0)
    second = window_since("110:130:", first.xmin)
    assert (first.start, first.xmin, second.start, second.xmin) == (None, 100, 100, 110)


@pytest.mark.parametrize(("stands", "oldest"), [(100, 99), (100, 100 + (1 << 31))])
def test_a_watermark_of_another_history_is_refused(stands: int, oldest: int) -> None:
    with pytest.raises(ExtractError, match="restored elsewhere, or two billion"):
        window_since(f"{oldest}:{oldest + 1}:", stands)
