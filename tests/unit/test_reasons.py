"""Codes for why a row was refused: stable, and each of them documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.dbaccess.errors import DatabaseError, from_server
from jobs.dbaccess.load.rejects.reasons import ENCODING, NUL, REASONS, concerns_row, reason_of

PAGE = (Path(__file__).parents[2] / "docs" / "bad-rows.md").read_text()


@pytest.mark.parametrize("reason", sorted({*REASONS.values(), NUL, ENCODING}))
def test_each_reason_is_in_the_documentation(reason: str) -> None:
    assert f"`{reason}`" in PAGE


@pytest.mark.parametrize(
    ("sqlstate", "row", "reason"),
    [
        ("22P02", b"x", "invalid_text"),
        ("22004", b"x", "invalid_value"),
        ("23999", b"x", "constraint"),
        ("22021", b"a\0b", "nul"),
        ("22021", b"a\xff", "encoding"),
        ("22P05", b'{"a": "\\\\u0000"}', "nul"),
        ("22P05", "\u20ac".encode(), "encoding"),
        ("42P01", b"", "other"),
        ("42601", b"", "invalid_text"),
    ],
)
def test_a_reason_follows_from_the_sqlstate_and_the_row(sqlstate: str, row: bytes, reason: str) -> None:
    assert reason_of(sqlstate, row) == reason


@pytest.mark.parametrize(
    ("sqlstate", "is_about_a_row"), [("22P02", True), ("23514", True), ("54000", True), ("57014", False), ("", False)]
)
def test_only_errors_about_data_put_a_row_aside(sqlstate: str, is_about_a_row: bool) -> None:
    error = from_server({"C": sqlstate, "M": "no"})
    assert isinstance(error, DatabaseError)
    assert concerns_row(error) is is_about_a_row
