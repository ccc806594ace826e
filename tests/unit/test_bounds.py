"""The bounds of partitions as values."""

from __future__ import annotations

import pytest

from jobs.dbaccess.load.partitions.missing.bounds import Span, span, values

SPANS = {
    "FOR VALUES FROM ('2026-11-20 00:00:00+01') TO ('2026-11-21')": Span("2026-11-20 00:00:00+01", "2026-11-21"),
    "FOR VALUES FROM ('-5') TO (10)": Span("-5", "10"),
    "FOR VALUES FROM (MINVALUE) TO ('MAXVALUE')": Span(None, "MAXVALUE"),
    "FOR VALUES FROM ('a, (''b') TO (MAXVALUE)": Span("a, ('b", None),
    "FOR VALUES FROM (1, 2) TO (3, 4)": None,
    "FOR VALUES WITH (modulus 2, remainder 0)": None,
    "DEFAULT": None,
}


@pytest.mark.parametrize("bound", SPANS)
def test_a_range_of_one_column_is_read(bound: str) -> None:
    assert span(bound) == SPANS[bound]


def test_values_of_a_list_are_read() -> None:
    assert values(r"FOR VALUES IN ('it''s \, ok', 'NULL', NULL, 5, true)") == [r"it's \, ok", "NULL", None, "5", "true"]
    assert values("DEFAULT") is None
