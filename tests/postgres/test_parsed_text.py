"""What is said of text that the server parses is what the server writes."""

from __future__ import annotations

import pytest

from jobs.copyformat.text.parsed_text import ParsedText
from jobs.dbaccess.errors import DataRejected
from jobs.dbaccess.session import Session

TYPES = {
    "smallint": ["007", " +5 ", "-0", "32768"],
    "bigint": ["9223372036854775807", "-12"],
    "numeric": ["01.50", ".5", "5.", "-0.00", "+1", "12345678901234567890.123456789"],
    "numeric(10,2)": ["12.345", "-12.345", "5", "-0.001", "0.005", "-0.005", "99999999.999"],
    "double precision": ["1e6", "0.10", "1e-7", "123456789012345678", "-0", "0.1e1", "1e400"],
    "boolean": ["YES", " t", "off", "0"],
    "date": ["2026-11-20", "0001-01-01", "2026-02-30"],
    "timestamp without time zone": ["2026-11-20T01:02:03.500", "2026-11-20 23:59:59.999999", "0044-03-15 00:00:00"],
}


@pytest.mark.parametrize("type_name", TYPES)
def test_text_is_written_as_we_say(session: Session, type_name: str) -> None:
    parsed = ParsedText.of(type_name)
    assert parsed is not None
    for sent in TYPES[type_name]:
        said = parsed.written(sent)
        assert said is not None
        try:
            written = session.value(f"SELECT (%s::text::{type_name})::text", sent)
        except DataRejected:  # it is in no row, then
            continue
        assert parsed.stored(written) == said
