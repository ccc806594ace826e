"""Modes as SQL."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.move.modes import Move
from jobs.dbaccess.load.move.order import OrderBy
from jobs.dbaccess.sql import TableName

T, S = TableName("t", "s"), TableName("staged", "s")


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
                'INSERT INTO "s"."t" AS target ("a", "b") '
                'SELECT DISTINCT ON ("a", CASE WHEN ("a") IS NOT DISTINCT FROM NULL THEN ctid END) "a", "b" '
                'FROM "s"."staged" '
                'ORDER BY "a", CASE WHEN ("a") IS NOT DISTINCT FROM NULL THEN ctid END, "b" DESC, ctid '
                'ON CONFLICT ("a") DO UPDATE SET "b" = EXCLUDED."b"'
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
