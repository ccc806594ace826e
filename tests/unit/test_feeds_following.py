"""How the rows of a source that is followed are moved."""

from __future__ import annotations

from dataclasses import replace

from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.modes import Move
from jobs.flows.load.feeds.feed import LAKES_ORDER
from jobs.flows.load.feeds.following import moving

UPSERT = Move("upsert", (), ("id",), max_delete_share=0.2)


def test_of_changes_the_last_of_each_key_counts_and_may_delete() -> None:
    move = moving(UPSERT, LAKES_ORDER, is_whole=False, is_new=False)
    assert move.changes == Changes(delete_when="source.\"_op\" = 'D'", order_by=("_ordinal", "_op"))
    assert [(order.column, order.descending) for order in move.order] == [("_ordinal", True), ("_op", True)]
    assert move.max_delete_share == 0.2


def test_of_all_rows_those_that_the_source_lacks_are_deleted() -> None:
    move = moving(UPSERT, (), is_whole=True, is_new=False)
    assert (move.changes, move.order) == (Changes(delete_missing=True), ())


def test_only_a_share_that_is_given_limits_what_a_source_lacks_of_which_a_whole_version_is_read() -> None:
    shares = [replace(UPSERT, max_delete_share=share) for share in (None, 0.5)]
    assert [moving(one, (), is_whole=True, is_new=False).max_delete_share for one in shares] == [1.0, 0.5]


def test_a_new_table_can_be_made_of_the_staged_rows() -> None:
    move = moving(UPSERT, (), is_whole=True, is_new=True)
    assert (move.changes, move.max_delete_share) == (Changes(), 1.0)
    marks = replace(UPSERT, changes=Changes(soft_delete="gone"))
    assert moving(marks, (), is_whole=True, is_new=True).changes == Changes(soft_delete="gone", delete_missing=True)
