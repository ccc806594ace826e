"""A position is a snapshot, and what is new is what that snapshot did not see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from jobs.dbaccess.capture.position import Definition, Position, Seen, marks, reason_to_compare
from jobs.dbaccess.errors import ExtractError

FILES = Definition("channel", ("id",), "", ("id",), (1,))
HERE = Position("reader", 5, "10:20:", "server/1", FILES.to_json())


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
        (
            replace(HERE, definition=replace(FILES, relations=(1, 2)).to_json()),
            5,
            "the table, its copy, partitions, the columns or the filter were altered",
        ),
        (replace(HERE, reader="forgotten"), 0, "the source did not know this reader any more"),
        (HERE, 6, "the target is older than what the source still has"),
    ],
)
def test_the_whole_table_is_compared_if_changes_alone_would_not_do(
    position: Position | None, registered: int, reason: str
) -> None:
    assert reason == reason_to_compare(
        position, reader="reader", history="server/1", definition=FILES, registered=registered
    )


def test_marks_among_the_changes_say_why_all_rows_are_compared() -> None:
    assert marks(["I", "U", "D"]) == ""
    assert marks(["I", "T"]) == "the table was truncated"


DEFINITION = Definition("channel", ("id",), '"copy": ', ("id",), (1,), "altered", "digest", '{"7": 8}')


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        ({}, True),
        ({"stored": '{"7": 8, "9": 9}'}, True),
        ({"stored": '{"7": 9}'}, False),
        ({"copy": "other"}, False),
        ({"filter": ""}, False),
    ],
)
def test_an_altered_or_emptied_copy_is_compared_and_a_new_partition_of_it_is_none_of_that(
    changes: dict[str, Any], follows: bool
) -> None:
    assert replace(DEFINITION, **changes).follows(DEFINITION.to_json()) == follows


def test_a_position_of_version_0_2_does_not_say_how_the_copy_was_and_is_followed() -> None:
    files = replace(DEFINITION, copy="", stored="")
    assert '"stored"' not in files.to_json()
    assert DEFINITION.follows(files.to_json())
    assert files.follows(files.to_json())
    assert not DEFINITION.follows(replace(files, keys=("other",)).to_json())
