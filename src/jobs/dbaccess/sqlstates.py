"""The SQLSTATEs by which the code decides, and what to do about some others.

https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from __future__ import annotations

from collections.abc import Mapping

CARDINALITY_VIOLATION = "21000"
"""Also of ON CONFLICT DO UPDATE that would affect a row a second time."""

NOT_UTF8 = "22021"
"""Text contains NUL, or bytes that are not UTF-8. The server does not name the column."""

BAD_COPY_FILE_FORMAT = "22P04"
"""A line of COPY has too many or too few fields."""

UNTRANSLATABLE = "22P05"
"""The database's encoding lacks a character, or JSON contains NUL."""

FOREIGN_KEY_VIOLATION, UNIQUE_VIOLATION, EXCLUSION_VIOLATION = "23503", "23505", "23P01"

SERIALIZATION_FAILURE, DEADLOCK = "40001", "40P01"
"""The server ended a transaction because of another one, which goes on.
https://www.postgresql.org/docs/current/mvcc-serialization-failure-handling.html"""

SYNTAX_ERROR = "42601"

INSUFFICIENT_PRIVILEGE = "42501"

UNDEFINED_TABLE, UNDEFINED_COLUMN = "42P01", "42703"

LOCK_TIMEOUT = "55P03"
"""A lock was not granted within lock_timeout."""

INTERNAL_ERROR = "XX000"
"""Also of PostGIS, for a geometry that it cannot read."""

TOO_LARGE = "54000"
"""A value or a row is larger than the server can store."""

HINTS: Mapping[str, str] = {
    UNTRANSLATABLE: "Remove the character; unless it is NUL, a database with the encoding UTF8 accepts it.",
    NOT_UTF8: "PostgreSQL's text cannot contain NUL, or bytes that are not UTF-8: clean the column first.",
    "28000": "Check that the role exists, and that the server's pg_hba.conf admits it from here.",
    "28P01": "Check the user and the password (PGPASSWORD).",
    "3D000": "Check the database's name.",
    INSUFFICIENT_PRIVILEGE: "Grant it, or use another user. pgjobs doctor --table NAME lists the privileges of a load.",
    "53100": "Free or add disk space on the server.",
    "57014": "If statement_timeout ended it, set a longer one for this user: ALTER ROLE .. SET statement_timeout.",
    "53300": "Lower --parallelism, or raise max_connections.",
}
"""What to do about an error of the server."""
