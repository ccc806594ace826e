"""Modes as SQL, and what does not go together."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import OrderBy, parse_order
from jobs.dbaccess.sql import TableName

T, S = TableName("t", "s"), TableName("staged", "s")


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("a", [OrderBy("a")]),
        ("updated_at desc", [OrderBy("updated_at", descending=True)]),
        ("a ASC, b DESC NULLS LAST", [OrderBy("a"), OrderBy("b", True, nulls_first=False)]),
        ('"say ""hi"", you" desc nulls first', [OrderBy('say "hi", you', True, nulls_first=True)]),
        ("a nulls last", [OrderBy("a", False, nulls_first=False)]),
    ],
)
def test_an_order_is_read(text: str, order: list[OrderBy]) -> None:
    assert list(parse_order(text)) == order


@pytest.mark.parametrize("text", ["", " ", "a desc,", ", a", "a; drop table t", "a desc desc", "lower(a) b c", '"a'])
def test_what_is_no_order_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not an order"):
        parse_order(text)


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
        move.check_arguments()


def test_keys_and_order_must_be_columns_of_the_data() -> None:
    with pytest.raises(UsageError, match="no key 'x'"):
        Move("upsert", ("a", "b"), ("x",)).check_columns()
    with pytest.raises(UsageError, match="no column of --dedupe-order 'y'"):
        Move("upsert", ("a", "b"), ("a",), (OrderBy("y"),)).check_columns()


@pytest.mark.parametrize(
    ("move", "statement"),
    [
        (Move("append", ("a", "b")), 'INSERT INTO "s"."t" AS target ("a", "b") SELECT "a", "b" FROM "s"."staged"'),
        (
            Move("ignore", ("a", "b")),
            'INSERT INTO "s"."t" AS target ("a", "b") SELECT "a", "b" FROM "s"."staged" ON CONFLICT  DO NOTHING',
        ),
        (
            Move("ignore", ("a", "b"), ("a",)),
            'INSERT INTO "s"."t" AS target ("a", "b") SELECT "a", "b" FROM "s"."staged" ON CONFLICT ("a") DO NOTHING',
        ),
        (
            Move("upsert", ("a", "b"), ("a",), (OrderBy("b", descending=True),)),
            (
                'INSERT INTO "s"."t" AS target ("a", "b") SELECT DISTINCT ON ("a") "a", "b" FROM "s"."staged" '
                'ORDER BY "a", "b" DESC, ctid ON CONFLICT ("a") DO UPDATE SET "b" = EXCLUDED."b"'
            ),
        ),
        (
            Move("upsert", ("a",), ("a",)),
            'INSERT INTO "s"."t" AS target ("a") SELECT "a" FROM "s"."staged" ON CONFLICT ("a") DO NOTHING',
        ),
    ],
)
def test_a_mode_is_a_statement(move: Move, statement: str) -> None:
    assert move.insert(T, S) == statement
