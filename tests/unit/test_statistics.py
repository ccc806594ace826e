"""Which tables are worth an ANALYZE after a load."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.statistics import Partition, worth_reading
from jobs.dbaccess.sql import TableName

WHOLE, OLD, NEW, EMPTY = (TableName(name, "s") for name in ("whole", "old", "new", "empty"))
PARTITIONS = [Partition(OLD, 1000, False), Partition(NEW, -1, False), Partition(EMPTY, -1, True)]


@pytest.mark.parametrize(
    ("changed", "names"),
    [(None, [WHOLE]), (100, [WHOLE]), (99, [NEW]), (0, [NEW])],
)
def test_a_small_load_has_new_partitions_read_and_a_large_one_the_whole(
    changed: int | None, names: list[TableName]
) -> None:
    assert worth_reading(WHOLE, PARTITIONS, changed) == names


def test_a_table_that_nobody_has_looked_at_is_read() -> None:
    assert worth_reading(WHOLE, [Partition(NEW, -1, False)], 1) == [WHOLE]
