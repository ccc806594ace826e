"""How much a load may delete."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import LoadError
from jobs.dbaccess.load.move.deletion import check_share
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.sql import TableName


@pytest.mark.parametrize(
    ("share", "deleted", "passes"), [(0.29, 29, True), (0.29, 30, False), (0, 0, True), (1, 100, True)]
)
def test_the_share_itself_may_be_deleted_and_no_row_more(share: float, deleted: int, passes: bool) -> None:
    move = Move("upsert", ("a",), ("a",), max_delete_share=share)
    check_share(move, TableName("t"), 0, 0)
    if passes:
        check_share(move, TableName("t"), deleted, 100)
        return
    with pytest.raises(LoadError, match="would delete 30 of the 100 rows"):
        check_share(move, TableName("t"), deleted, 100)
