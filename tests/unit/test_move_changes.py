"""What an upsert does beside inserting and updating: what goes together, and which columns are only staged."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.changes import NO_CHANGES, Changes, with_own
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import order_of, parse_order

TOLD = Changes(delete_when="source.op = 'D' AND \"Kind\" <> 'id -- x'")


@pytest.mark.parametrize("mode", ["append", "overwrite", "ignore"])
def test_only_an_upsert_has_changes(mode: str) -> None:
    with pytest.raises(UsageError, match=f"--delete-when: the mode {mode} does not have it"):
        combinations.check(Move(mode, (), ("a",) if mode == "ignore" else (), changes=TOLD))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (Changes(delete_when=" "), "--delete-when is empty"),
        (Changes(update_when="a /* b"), "quote or comment is not closed"),
        (Changes(soft_delete=""), "--soft-delete is empty"),
    ],
)
def test_what_says_nothing_is_refused(changes: Changes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        combinations.check(Move("upsert", (), ("a",), changes=changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (Changes(update_columns=("a", "x")), "--update-columns names 'a', 'x'"),
        (Changes(soft_delete="b", delete_missing=True), "The data has the column 'b' of --soft-delete"),
        (Changes(soft_delete="gone"), "nothing says which"),
        (NO_CHANGES, "--max-delete-share limits deletes"),
    ],
)
def test_columns_that_do_not_fit_are_refused(changes: Changes, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        combinations.check_columns(Move("upsert", ("a", "b"), ("a",), changes=changes, max_delete_share=0.5))


@pytest.mark.parametrize("share", [None, 1.0])
def test_a_share_that_limits_nothing_goes_with_a_load_that_deletes_nothing(share: float | None) -> None:
    for move in (Move("append", ("a",)), Move("upsert", ("a", "b"), ("a",))):
        combinations.check(replace(move, max_delete_share=share))
        combinations.check_columns(replace(move, max_delete_share=share))


def test_the_table_need_not_have_columns_that_only_conditions_and_the_order_name() -> None:
    changes = Changes(delete_when=TOLD.delete_when, order_by=("seq",))
    staged = changes.staged_only(["id", "OP", "Kind", "seq", "typo", "x"], ["ID", "b"])
    assert staged == {"OP": "op", "Kind": "Kind", "seq": "seq"}


def test_files_of_our_own_say_what_is_deleted_and_in_which_order() -> None:
    captured = ["_op", "_key", "_ordinal", "id", "a", "pgjobs_batch"]
    changes = with_own(NO_CHANGES, captured, ["id", "a"], ordered=False)
    assert changes == Changes(delete_when="source.\"_op\" = 'D'", order_by=("pgjobs_batch",))
    assert set(changes.staged_only(captured, ["id", "a"])) == {"_op", "_key", "_ordinal", "pgjobs_batch"}
    assert with_own(NO_CHANGES, captured, ["id", "a"], ordered=True).order_by == ()
    assert with_own(NO_CHANGES, captured, ["id", "a", "_op"], ordered=False) == NO_CHANGES
    assert with_own(TOLD, captured, ["id", "a"], ordered=False) == TOLD
    with pytest.raises(UsageError, match="NULL of the values that mark deletes"):
        changes.check_null_values(["NA", "D"])
    NO_CHANGES.check_null_values(["D"])


def test_one_order_is_given_and_the_last_row_of_a_key_comes_first_in_it() -> None:
    assert order_of(None, ["a", "b"]) == parse_order("a desc nulls last, b desc nulls last")
    assert order_of("a", []) == parse_order("a")
    with pytest.raises(UsageError, match="both choose one row"):
        order_of("a", ["b"])


def test_verify_refuses_what_writes_parts_of_rows() -> None:
    Changes(delete_when="true", update_when="true").check_verify()
    with pytest.raises(UsageError, match="--soft-delete and --update-columns writes parts of rows"):
        Changes(soft_delete="a", update_columns=("b",)).check_verify()
