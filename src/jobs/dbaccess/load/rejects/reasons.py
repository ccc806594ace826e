"""A stable code for why the server refused a row: messages differ between versions and languages, codes do not."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.dbaccess.errors import DatabaseError
from jobs.dbaccess.sqlstates import (
    BAD_COPY_FILE_FORMAT,
    INTERNAL_ERROR,
    NOT_UTF8,
    SYNTAX_ERROR,
    TOO_LARGE,
    UNTRANSLATABLE,
)

NUL, ENCODING, UNPARSABLE = "nul", "encoding", "unparsable"

# https://www.postgresql.org/docs/current/errcodes-appendix.html
REASONS: Mapping[str, str] = {
    "22001": "too_long",
    "22003": "numeric_out_of_range",
    "22007": "invalid_datetime",
    "22008": "datetime_out_of_range",
    "22015": "datetime_out_of_range",  # of an interval
    "22P02": "invalid_text",
    "22P03": "invalid_text",
    BAD_COPY_FILE_FORMAT: UNPARSABLE,  # our own lines have the right fields, except for these (see encode_spark)
    "23502": "not_null",
    "23503": "foreign_key",
    "23505": "unique",
    "23514": "check",
    "23P01": "exclusion",
    SYNTAX_ERROR: "invalid_text",  # of a tsquery or jsonpath
    INTERNAL_ERROR: "invalid_value",  # of a geometry
    TOO_LARGE: "too_big",  # a value that no table can hold
    "22": "invalid_value",
    "23": "constraint",
}


def concerns_row(error: DatabaseError) -> bool:
    """Return whether an error of a COPY is about the data of a row, so that other rows may be accepted."""
    is_of_value = error.sqlstate in (SYNTAX_ERROR, INTERNAL_ERROR) and error.column is not None
    return is_of_value or error.sqlstate[:2] in ("22", "23") or error.sqlstate == TOO_LARGE


def reason_of(sqlstate: str, row: bytes = b"") -> str:
    """Return the code for a SQLSTATE.

    Args:
        sqlstate: The SQLSTATE.
        row: What was sent: text with NUL and text in another encoding have the same SQLSTATE.
    """
    if sqlstate in (NOT_UTF8, UNTRANSLATABLE):
        return NUL if b"\0" in row or b"\\u0000" in row else ENCODING
    return REASONS.get(sqlstate) or REASONS.get(sqlstate[:2], "other")
