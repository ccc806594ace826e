"""make chaos sees rows that are lost or doubled."""

from __future__ import annotations

from chaos.judge.difference import difference


def test_lost_and_doubled_rows_are_told() -> None:
    assert difference([(1,), (2,)], [(1,), (2,)]) == ""
    assert "1 missing, 0 too many, such as (2,)" in difference([(1,)], [(1,), (2,)])
    assert "0 missing, 1 too many, such as (1,)" in difference([(1,), (1,)], [(1,)])
    assert "in another order" in difference([(2,), (1,)], [(1,), (2,)])
