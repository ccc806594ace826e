"""make chaos tells the steps of a job by its statements."""

from __future__ import annotations

import pytest

from chaos.plan.steps import step_of


@pytest.mark.parametrize(
    ("statement", "done", "step"),
    [
        ('COPY "shop"."pgjobs_rows_1" ("id") FROM STDIN', (), "copy part"),
        ('INSERT INTO "shop"."target" AS target ("id")', (), "move rows"),
        ("COMMIT", ("claim part", "count part"), "commit part"),
        ("COMMIT", ("lock", "record load", "move rows"), "commit publish"),
        ("COMMIT", ("copy rows", "record load", "count part"), "commit publish"),
        ("COMMIT", ("copy rows", "record part", "count part"), "commit part"),
        ("COMMIT", ("move watermark",), "commit watermark"),
        ("COMMIT", ("record load", "keep result"), "commit query"),
        ('DROP TABLE IF EXISTS "shop"."pgjobs_result_1"', (), "drop result"),
        ("COMMIT", (), ""),
        ("SELECT 1", (), ""),
    ],
)
def test_a_step_is_told_by_its_statement_and_its_transaction(statement: str, done: tuple[str, ...], step: str) -> None:
    assert step_of(statement, done) == step
