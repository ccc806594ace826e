"""A position is a snapshot, and what is new is what that snapshot did not see."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.capture.position import Definition, Position, Seen, marks, reason_to_compare
from jobs.dbaccess.errors import ExtractError

HERE = Position("reader", 5, "10:20:", "server/1", "{}")


def test_later_changes_are_of_transactions_that_had_not_ended() -> None:
    assert Seen.parse("10:20:11,15") == Seen(10, 20, (11, 15))
    assert Seen.parse("10:20:").later == "c.xid OPERATOR(pg_catalog.>=) '20'::pg_catalog.xid8"
    assert Seen.parse("10:20:11,15").later == (
        "(c.xid OPERATOR(pg_catalog.>=) '20'::pg_catalog.xid8 "
        "OR c.xid OPERATOR(pg_catalog.=) ANY ('{11,15}'::pg_catalog.xid8[]))"
    )


@pytest.mark.parametrize("text", ["", "10:20", "10:20:1,", "10:20:'; DROP", "a:b:c"])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(ExtractError, match="not a snapshot"):
        Seen.parse(text)


@pytest.mark.parametrize(
    ("position", "registered", "reason"),
    [
        (HERE, 5, ""),
        (HERE, 0, ""),
        (None, 0, "the first run"),
        (replace(HERE, history="server/2"), 5, "the server is another one, or was promoted"),
        (replace(HERE, definition="[]"), 5, "the table, its partitions, the columns or the filter were altered"),
        (replace(HERE, reader="forgotten"), 0, "the source did not know this reader any more"),
        (HERE, 6, "the target is older than what the source still has"),
    ],
)
def test_the_whole_table_is_compared_if_changes_alone_would_not_do(
    position: Position | None, registered: int, reason: str
) -> None:
    assert reason == reason_to_compare(
        position, reader="reader", history="server/1", definition="{}", registered=registered
    )


def test_marks_among_the_changes_say_why_all_rows_are_compared() -> None:
    assert marks(["I", "U", "D"]) == ""
    assert marks(["I", "T"]) == "the table was truncated"


def test_a_position_of_version_0_2_does_not_compare_the_table_only_because_it_lacks_the_copy() -> None:
    definition = Definition("channel", ("id",), '"copy": ', ("id",), (1,), "altered", copy="digest")
    without = replace(definition, copy="").to_json()
    assert definition.like(replace(HERE, definition=without)).to_json() == without
    assert definition.like(replace(HERE, definition=definition.to_json())) == definition
    assert definition.like(None) == definition
