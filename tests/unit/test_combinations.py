"""What does not go together is refused, without a server."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.move import combinations
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import OrderBy


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (Move("bogus", ()), "no mode 'bogus'"),
        (Move("append", (), ("a",)), "takes no keys"),
        (Move("overwrite", (), ("a",)), "takes no keys"),
        (Move("upsert", ()), "needs keys"),
        (Move("upsert", ("a", "b"), ("a",), skip_unchanged="maybe"), "not one of auto, yes, no"),
        (Move("append", (), skip_unchanged="yes"), "skips no unchanged rows"),
        (Move("overwrite", (), strategy="diff"), "diff needs keys"),
        (Move("append", (), ("a",), strategy="diff"), "does not go with the mode append"),
        (Move("overwrite", (), ("a",), strategy="diff", where="a > 1"), "Leave one of them out"),
        (Move("overwrite", (), ("a",), strategy="diff", max_delete_share=20), "Give a share from 0 to 1"),
        (Move("overwrite", (), max_delete_share=0.2), "limits what an overwrite by difference, or an upsert"),
        (Move("overwrite", (), strategy="drop"), "not one of delete, truncate, diff"),
        (Move("append", (), strategy="truncate"), "truncate replaces all rows of a table"),
        (Move("overwrite", (), strategy="truncate", where="a > 1"), "truncate replaces all rows of a table"),
        (Move("ignore", (), (), (OrderBy("a"),)), "--dedupe-order needs keys"),
    ],
)
def test_what_does_not_go_together_is_refused(move: Move, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        combinations.check(move)


def test_keys_and_order_must_be_columns_of_the_data() -> None:
    with pytest.raises(UsageError, match="no key 'x'"):
        combinations.check_columns(Move("upsert", ("a", "b"), ("x",)))
    with pytest.raises(UsageError, match="no column of --dedupe-order 'y'"):
        combinations.check_columns(Move("upsert", ("a", "b"), ("a",), (OrderBy("y"),)))


@pytest.mark.parametrize("where", ["", " \n"])
def test_an_empty_condition_is_not_taken_for_all_rows(where: str) -> None:
    with pytest.raises(UsageError, match="--overwrite-where is empty"):
        combinations.check(Move("overwrite", ("a", "b"), where=where))


@pytest.mark.parametrize("mode", ["append", "upsert", "ignore"])
def test_only_overwrite_has_a_condition(mode: str) -> None:
    with pytest.raises(UsageError, match="does not go with the mode"):
        combinations.check(Move(mode, ("a", "b"), ("a",) if mode != "append" else (), where="true"))
