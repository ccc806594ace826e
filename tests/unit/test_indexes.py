"""Indexes as the user defines them: what follows the table in CREATE INDEX, and nothing else."""

from __future__ import annotations

import pytest

from jobs.dbaccess.errors import UsageError
from jobs.dbaccess.load.definitions import indexes
from jobs.dbaccess.sql import TableName


@pytest.mark.parametrize(
    ("text", "statement"),
    [
        ("day, name", 'CREATE INDEX ON "t" (day, name\n)'),
        ("lower(name) DESC -- it", 'CREATE INDEX ON "t" (lower(name) DESC -- it\n)'),
        ("(day) WHERE amount > 0", 'CREATE INDEX ON "t" (day) WHERE amount > 0'),
        ("using gin (tags)", 'CREATE INDEX ON "t" using gin (tags)'),
        ("UNIQUE (email)", 'CREATE UNIQUE INDEX ON "t" (email)'),
        ("unique email", 'CREATE UNIQUE INDEX ON "t" (email\n)'),
        ("unique", 'CREATE INDEX ON "t" (unique\n)'),
    ],
)
def test_an_index_is_columns_or_what_follows_the_table(text: str, statement: str) -> None:
    indexes.check([text])
    assert indexes.creating(TableName("t"), text) == statement


@pytest.mark.parametrize("text", ["", " ", "a) ; DROP TABLE t; --", "a; b", "a)", "(a"])
def test_what_would_end_the_statement_is_no_index(text: str) -> None:
    with pytest.raises(UsageError, match="--index"):
        indexes.check([text])
