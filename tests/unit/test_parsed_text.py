"""What the server writes for a text that it has parsed."""

from __future__ import annotations

import pytest

from jobs.copyformat.text.parsed_text import ParsedText

CASES = [
    ("integer", "007", "7"),
    ("smallint", " +5 ", "5"),
    ("bigint", "-0", "0"),
    ("integer", "1e3", None),
    ("integer", "0x1F", None),
    ("integer", "1_000", None),
    ("numeric", "01.50", "1.50"),
    ("numeric", ".5", "0.5"),
    ("numeric", "-0.00", "0.00"),
    ("numeric", "1e3", None),
    ("numeric(10,2)", "12.345", "12.35"),
    ("numeric(10,2)", "-12.345", "-12.35"),
    ("numeric(10,2)", "5", "5.00"),
    ("numeric(10,2)", "-0.001", "0.00"),
    ("numeric(38,0)", "99999999999999999999999999999999999.5", "100000000000000000000000000000000000"),
    ("double precision", "1e6", "1000000.0"),
    ("double precision", "0.10", "0.1"),
    ("double precision", "nan", None),
    ("boolean", "YES", "true"),
    ("boolean", "fal", None),
    ("date", "2026-11-20", "2026-11-20"),
    ("date", "11/20/2026", None),
    ("timestamp without time zone", "2026-11-20T01:02:03.500", "2026-11-20 01:02:03.5"),
    ("timestamp without time zone", "2026-11-20 24:00:00", None),
]


@pytest.mark.parametrize(("type_name", "sent", "written"), CASES)
def test_text_is_known_as_the_server_writes_it_or_not_at_all(type_name: str, sent: str, written: str | None) -> None:
    parsed = ParsedText.of(type_name)
    assert parsed is not None
    assert parsed.written(sent) == written


@pytest.mark.parametrize("type_name", ["timestamp with time zone", "timestamp(3) without time zone", "jsonb", "real"])
def test_other_types_are_not_known(type_name: str) -> None:
    assert ParsedText.of(type_name) is None
