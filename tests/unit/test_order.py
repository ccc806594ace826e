"""Orders of rows with the same keys, as they are written."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.move.order import OrderBy, parse_order


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a", [OrderBy("a")]),
        ("updated_at desc", [OrderBy("updated_at", descending=True)]),
        ("a ASC, b DESC NULLS LAST", [OrderBy("a"), OrderBy("b", True, nulls_first=False)]),
        ('"say ""hi"", you" desc nulls first', [OrderBy('say "hi", you', True, nulls_first=True)]),
        ("a nulls last", [OrderBy("a", False, nulls_first=False)]),
    ],
)
def test_an_order_is_read(text: str, order: list[OrderBy]) -> None:
    assert list(parse_order(text)) == order


@pytest.mark.parametrize("text", ["", " ", "a desc,", ", a", "a; drop table t", "a desc desc", "lower(a) b c", '"a'])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an order"):
        parse_order(text)
