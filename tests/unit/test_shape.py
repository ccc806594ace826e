"""How a new table is to be partitioned, as users write it."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions.shape import HASH, LIST, RANGE, PartitionBy, Shape, parse_partition_by

WRITTEN = {
    "range(day)": PartitionBy(RANGE, "day"),
    ' LIST ( "we ""ird, (x)" ) ': PartitionBy(LIST, 'we "ird, (x)'),
    "hash(id, 8)": PartitionBy(HASH, "id", 8),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_ways_to_partition_are_parsed(text: str) -> None:
    assert parse_partition_by(text) == WRITTEN[text]


@pytest.mark.parametrize(
    "text", ["day", "range()", "range(a, b)", "range(day, 8)", "hash(id)", "hash(id, 0)", "list(a); DROP"]
)
def test_what_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not say how to partition"):
        parse_partition_by(text)


REFUSED = {
    "no such column": (PartitionBy(LIST, "c"), (), "no column 'c'"),
    "no key": (PartitionBy(LIST, "b"), ("a",), "'b' is no key"),
    "no rule": (PartitionBy(RANGE, "a"), ("a",), "does not say how large"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_partitioning_that_cannot_be_is_refused(what: str) -> None:
    by, keys, message = REFUSED[what]
    with pytest.raises(UsageError, match=message):
        Shape(by).check(["a", "b"], keys, "")
    Shape(PartitionBy(HASH, "a", 4)).check(["a", "b"], ["a", "b"], "")
