"""How much a load may delete."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move.changes import Changes
from jobs.dbaccess.load.move.deletion import check_share, limit_told
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.sql import TableName

MISSING = Move("upsert", ("a",), ("a",), changes=Changes(delete_missing=True))


@pytest.mark.parametrize(
    ("share", "deleted", "passes"), [(0.29, 29, True), (0.29, 30, False), (0, 0, True), (1, 100, True)]
)
def test_the_share_itself_may_be_deleted_and_no_row_more(share: float, deleted: int, passes: bool) -> None:
    move = Move("upsert", ("a",), ("a",), max_delete_share=share)
    check_share(move, TableName("t"), 0, missing=0)
    if passes:
        check_share(move, TableName("t"), 100, missing=deleted)
        return
    with pytest.raises(LoadError, match="would delete 30 of the 100 rows"):
        check_share(move, TableName("t"), 100, missing=1, told=deleted - 1)


def test_without_a_share_a_fifth_may_be_deleted_for_being_missing_and_any_number_that_the_data_tells() -> None:
    move = Move("upsert", ("a",), ("a",), changes=Changes(delete_missing=True))
    check_share(move, TableName("t"), 100, missing=20, told=80)
    with pytest.raises(LoadError, match=r"would delete 21 of the 100 rows of t, because the data lacks") as error:
        check_share(move, TableName("t"), 100, missing=21, told=79)
    assert "Nothing was changed." in str(error.value)
    assert "--max-delete-share: 1 allows all." in str(error.value)


@pytest.mark.parametrize(
    ("move", "told"),
    [
        (MISSING, "if the data lacks the keys of more than 0.2 of the table's rows"),
        (replace(MISSING, max_delete_share=0.5), "if it would delete more than 0.5 of the table's rows"),
        (replace(MISSING, max_delete_share=1.0), ""),
        (Move("upsert", ("a",), ("a",), changes=Changes(delete_when="true")), ""),
        (Move("overwrite", ("a",), ("a",), strategy="diff"), ""),
        (Move("overwrite", ("a",), ("a",), strategy="diff", max_delete_share=0.0), "more than 0 of the table's rows"),
    ],
)
def test_the_limit_is_told(move: Move, told: str) -> None:
    assert told in limit_told(move)
    assert bool(limit_told(move)) == bool(told) == move.limits_deletes
