"""Windows of transactions: each id that can be told apart is in one of them, also where ids wrap around."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.errors import ExtractError
from jobs.dbaccess.watermark import Watermark, Window, window

FIRST_XID = 3  # below are those of the system itself
XIDS = st.integers(FIRST_XID, 1 << 34)


def mark(below: int) -> Watermark:
    return Watermark("s.t", 1, below, None)


def holds(taken: Window, xid: int) -> bool:
    """The window's condition for a row version, as PostgreSQL has it: of what is not below 0, its mod is Python's %."""
    condition = taken.condition.replace("xmin::text::bigint", str(xid % (1 << 32)))
    return bool(eval(condition, {"mod": lambda a, b: a % b}))  # noqa: S307 - our own text


@given(start=XIDS, length=st.integers(0, 10**6), data=st.data())
def test_a_row_version_is_new_where_its_transaction_is_in_the_window(
    start: int, length: int, data: st.DataObject
) -> None:
    below = start + length
    written = data.draw(st.integers(max(FIRST_XID, start - 2**30), start + 2**30))
    taken = window(f"{below}:{below + 5}:", mark(start))
    assert holds(taken, written) == (start <= written < below)


@given(below=XIDS, running=st.integers(1, 10**6), data=st.data())
def test_the_first_run_takes_all_but_what_may_still_be_running(below: int, running: int, data: st.DataObject) -> None:
    after = below + running
    written = data.draw(st.integers(max(FIRST_XID, below - 2**31), after - 1))
    assert holds(window(f"{below}:{after}:", None), written) == (written < below)


def test_a_run_begins_where_the_last_one_ended() -> None:
    first = window("100:120:105,110", None)
    second = window("110:130:", mark(first.below))
    assert (first.start, first.below, second.start, second.below) == (None, 100, 100, 110)


@pytest.mark.parametrize(("stands", "oldest"), [(100, 99), (100, 100 + (1 << 31))])
def test_a_watermark_of_another_history_is_refused(stands: int, oldest: int) -> None:
    with pytest.raises(ExtractError, match="restored elsewhere, or two billion"):
        window(f"{oldest}:{oldest + 1}:", mark(stands))
