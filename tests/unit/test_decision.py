"""What a load of a source's changes reads: nothing, changes, all rows, or why it cannot."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.dbaccess.errors import LoadError, UsageError
from jobs.dbaccess.load.followed.decision import (
    Changes,
    Known,
    Nothing,
    Whole,
    between,
    check_followed,
    decide,
    folder_of,
    is_ancestor,
)
from jobs.dbaccess.load.followed.definition import Definition
from jobs.dbaccess.load.followed.source_position import Position, Stored
from jobs.dbaccess.load.move.changes import Changes as Wanted
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of

OLD = Position("iceberg", "lake.sales.orders", "11", committed="2026-11-20 10:00:00")
NOW = replace(OLD, version="12", committed="2026-11-21 10:00:00")
DEFINITION = Definition(("id",), columns={"id": 1, "v": 2, "w": 3})
OTHER = Definition(("v",))
FOLLOWING = Known(Stored(OLD, 5, DEFINITION, "load-1"), 5, has_rows=True, definition=DEFINITION)


def kept(_since: Position, _to: Position) -> str:
    return ""


def test_what_changed_since_the_position_is_read() -> None:
    assert decide(FOLLOWING, NOW, kept) == Changes(OLD, NOW)


def test_nothing_is_read_if_the_source_is_where_the_table_is() -> None:
    assert decide(FOLLOWING, replace(OLD, committed="another time zone"), kept) == Nothing(OLD)


@pytest.mark.parametrize(
    ("known", "reason"),
    [
        (replace(FOLLOWING, stored=None, relation=None, has_rows=False), "the table is new"),
        (replace(FOLLOWING, stored=None, has_rows=False), "the table is empty"),
        (replace(FOLLOWING, relation=6, has_rows=False), "the table is empty"),
    ],
)
def test_all_rows_are_read_into_a_table_without_rows_and_without_a_position(known: Known, reason: str) -> None:
    assert decide(known, NOW, kept) == Whole(NOW, reason)


@pytest.mark.parametrize("known", [replace(FOLLOWING, stored=None), replace(FOLLOWING, relation=6)])
def test_a_table_with_rows_of_which_nothing_is_known_is_refused(known: Known) -> None:
    """Also one that got the name of the table that has the position."""
    with pytest.raises(UsageError, match="unknown which state") as caught:
        decide(known, NOW, kept)
    assert caught.value.hint.endswith("--changes-since-ledger full.")


def test_changes_that_cannot_be_read_any_more_are_not_skipped() -> None:
    with pytest.raises(LoadError, match=r"orders at version 11 of 2026.* cannot be read: it was expired\.") as caught:
        decide(FOLLOWING, NOW, lambda _since, _to: "it was expired")
    assert "--changes-since-ledger full" in caught.value.hint


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (replace(NOW, source="lake.sales.others"), "follows lake.sales.orders, and not lake.sales.others"),
        (replace(NOW, identity="another uuid"), "and not another table of this name"),
        (replace(NOW, kind="delta"), "and not another table of this name"),
    ],
)
def test_a_table_follows_one_source(now: Position, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        decide(FOLLOWING, now, kept)


def test_other_keys_or_another_query_are_refused() -> None:
    with pytest.raises(UsageError, match="other values of --keys, --select"):
        decide(replace(FOLLOWING, definition=OTHER), NOW, kept)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"id": 1, "v2": 2}, "its column v2 was v: rows that nobody changed"),
        ({"id": 1, "v": 4}, "its column v was dropped, and another one was added by this name"),
        ({"id": 1, "v": 3, "w": 2}, "its column v was w"),
    ],
)
def test_a_column_that_is_another_one_is_refused_even_if_no_row_changed(columns: dict[str, int], told: str) -> None:
    known = replace(FOLLOWING, definition=replace(DEFINITION, columns=columns))
    for now in (OLD, NOW):
        with pytest.raises(UsageError, match=told) as caught:
            decide(known, now, kept)
        assert "--changes-since-ledger full" in caught.value.hint


@pytest.mark.parametrize("columns", [{}, {"id": 1}, {"id": 1, "v": 2, "w": 3, "more": 4}])
def test_columns_may_come_and_go(columns: dict[str, int]) -> None:
    known = replace(FOLLOWING, definition=replace(DEFINITION, columns=columns))
    assert decide(known, NOW, kept) == Changes(OLD, NOW)


@pytest.mark.parametrize("known", [FOLLOWING, replace(FOLLOWING, stored=None), replace(FOLLOWING, definition=OTHER)])
def test_whoever_wants_all_rows_gets_them(known: Known) -> None:
    assert decide(known, NOW, lambda _since, _to: "it was expired", full=True) == Whole(
        NOW, "--changes-since-ledger full"
    )


CHAIN = {"5": "4", "4": "3", "3": None, "9": "8"}


def test_a_version_is_an_ancestor_if_the_history_leads_to_it() -> None:
    assert [name for name in "34589" if is_ancestor(CHAIN, name, "5")] == ["3", "4", "5"]
    assert not is_ancestor(CHAIN, "8", "9")  # its parent has expired, and with it the rows that were deleted then
    assert between(CHAIN, "3", "5") == ["5", "4"]


@given(st.dictionaries(st.sampled_from("abcdef"), st.none() | st.sampled_from("abcdef")), st.sampled_from("abcdef"))
def test_a_history_in_a_circle_ends(parents: dict[str, str | None], version: str) -> None:
    assert len(between(parents, "z", version)) <= len(parents)


UPSERT = Move("upsert", (), ("id",))


@pytest.mark.parametrize(
    ("move", "told"),
    [
        (Move("append", ()), "Give --mode upsert and --keys"),
        (Move("upsert", ()), "Give --mode upsert and --keys"),
        (replace(UPSERT, changes=Wanted(delete_missing=True)), "--delete-missing"),
        (replace(UPSERT, changes=Wanted(update_when="true", soft_delete="gone")), "it takes no --update-when"),
        (replace(UPSERT, order=order_of("id desc", ())), "--dedupe-order"),
    ],
)
def test_flags_that_say_what_the_source_says_are_refused(move: Move, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_followed(move)
    assert told in str(caught.value)
    check_followed(replace(UPSERT, changes=Wanted(soft_delete="gone")))


@pytest.mark.parametrize("refused", ["keeps", "quarantines"])
def test_what_would_leave_the_table_unequal_or_half_staged_is_refused(refused: str) -> None:
    with pytest.raises(UsageError, match="--changes-since-ledger"):
        check_followed(UPSERT, keeps=refused == "keeps", quarantines=refused == "quarantines")


def test_batches_are_in_one_folder() -> None:
    assert folder_of(["s3://bucket/orders/"]) == "s3://bucket/orders"
    with pytest.raises(UsageError, match="one folder"):
        folder_of(["a", "b"])
