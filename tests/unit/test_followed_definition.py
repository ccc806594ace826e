"""What of a source a table has is known by the columns' numbers, also after columns were dropped or renamed."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.followed.definition import Definition

OLD = Definition(("id",), columns={"id": 1, "v": 2, "w": 3})


def test_what_is_stored_is_read_again() -> None:
    for definition in (OLD, Definition(("a", "\u00e9"), "SELECT 1", "gone", {}, ("", "-"), "strip")):
        assert Definition.parse(definition.text) == definition
    assert Definition.parse('{"keys": ["id"], "select": ""}') == Definition(("id",))


@pytest.mark.parametrize(
    "other",
    [
        Definition(("v",)),
        Definition(("id",), "SELECT 1"),
        Definition(("id",), "", "gone"),
        Definition(("id",), null_values=("-",)),
    ],
)
def test_the_user_may_want_something_else(other: Definition) -> None:
    assert OLD.is_wanted_as(Definition(("id",)))
    assert not OLD.is_wanted_as(other)


def test_characters_that_were_errors_may_be_changed_from_now_on_and_then_in_one_way_alone() -> None:
    error, strip, other = Definition(("id",)), Definition(("id",), nul="strip"), Definition(("id",), nul="replace")
    assert error.is_wanted_as(strip)
    assert strip.is_wanted_as(error)
    assert not error.after(strip).is_wanted_as(other)


def test_a_column_that_was_dropped_before_an_earlier_load_is_not_taken_for_one_of_its_name() -> None:
    """The table keeps its old values."""
    dropped = Definition(("id",), columns={"id": 1, "w": 3}).after(OLD)
    again = Definition(("id",), columns={"id": 1, "w": 3, "v": 4})
    assert "v was dropped" in dropped.changed(again)
    assert again.after(dropped).changed(again) == ""


def test_a_column_that_gets_its_old_name_back_is_told_again() -> None:
    renamed = Definition(("id",), columns={"id": 1, "v2": 2, "w": 3}).after(OLD)
    assert "v was v2" in renamed.changed(OLD)
