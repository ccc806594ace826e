"""The columns and types of a query."""

from __future__ import annotations

import pytest

from jobs.dbaccess.catalog import query_columns
from jobs.dbaccess.session import Session


def test_types_are_seen_through_domains_and_arrays(session: Session) -> None:
    session.run("CREATE DOMAIN cents AS numeric(12,2); CREATE DOMAIN price AS cents; CREATE DOMAIN pair AS int[]")
    query = (
        "SELECT 1::price AS price, ARRAY[1::price] AS prices, '{{1,2}}'::pair AS pair, ARRAY['{1}'::pair] AS pairs, "
        "1::numeric AS any, '{1}'::numeric(5,1)[] AS many"
    )
    described = {column.name: column for column in query_columns.describe(session, query)}
    kinds = {name: (column.scalar.base, column.dimensions) for name, column in described.items()}
    assert kinds == {
        "price": ("numeric", 0),
        "prices": ("numeric", 1),
        "pair": ("int4", 1),
        "pairs": ("_int4", 1),
        "any": ("numeric", 0),
        "many": ("numeric", 1),
    }
    bounds = {name: column.scalar.precision_and_scale for name, column in described.items()}
    assert [bounds[name] for name in ("price", "prices", "any", "many")] == [(12, 2), (12, 2), None, (5, 1)]


def test_a_scale_may_be_negative_or_beyond_the_precision(session: Session) -> None:
    if session.run("SELECT current_setting('server_version_num')::int")[0][0] < 150000:
        pytest.skip("such scales came with PostgreSQL 15")
    query = "SELECT 1::numeric(3,-2) AS hundreds, 0.0001::numeric(2,5) AS parts"
    described = query_columns.describe(session, query)
    assert [column.scalar.precision_and_scale for column in described] == [(3, -2), (2, 5)]
