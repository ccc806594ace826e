"""The names of a capture's objects fit into PostgreSQL's 63 bytes, and differ."""

from __future__ import annotations

import pytest

from jobs.dbaccess.capture.objects import Capture, Key, check_channel, create_function, default_channel
from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.sql import TableName

KEYS = (Key("id", "bigint", "OPERATOR(pg_catalog.=)"),)


def test_a_default_channel_names_schema_and_table() -> None:
    assert default_channel(TableName("orders", "sales")) == "sales__orders__pgjobs"


def test_default_channels_of_long_names_fit_and_differ() -> None:
    names = [default_channel(TableName("ü" * 31, "s")), default_channel(TableName("ü" * 30 + "u", "s"))]
    assert len(set(names)) == 2
    for name in names:
        capture = Capture(name, TableName("t", "s"), KEYS)
        for made in (capture.changes, capture.readers, capture.function):
            assert made.quoted
        assert len({*capture.triggers.values()}) == 4
        assert all(len(trigger.encode()) <= 63 for trigger in capture.triggers.values())


@pytest.mark.parametrize("channel", ["", "x" * 61, "ü" * 31, "a\0b"])
def test_a_channel_of_which_no_names_can_be_made_is_refused(channel: str) -> None:
    with pytest.raises(UsageError, match="name of a channel"):
        check_channel(channel)


def test_a_name_does_not_end_the_functions_text() -> None:
    text = create_function(Capture("$pgjobs$", TableName("t", "s"), KEYS))
    tag = text.partition(" AS ")[2].partition("\n")[0]
    assert text.count(tag) == 2
