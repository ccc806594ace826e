"""COPY's text format: the representation of NULL, and the escapes.

https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

import re

NULL = "\\N"

# Each character and its escape. The backslash comes first, so that the backslashes of other escapes are not escaped
# again.
COPY_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

# COPY TO also escapes these.
OUTPUT_ESCAPES = (*COPY_ESCAPES, ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v"))

# The same within the double quotes of an array: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
ARRAY_ESCAPES = (("\\", "\\\\"), ('"', '\\"'))


_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {escape[1]: character for character, escape in COPY_ESCAPES}


def parse_line(line: bytes) -> list[str | None]:
    """Return the values of a line that was sent. Bytes that are not UTF-8 become U+FFFD."""
    fields = line.decode(errors="replace").removesuffix("\n").split("\t")
    return [None if field == NULL else _ESCAPE.sub(_unescaped, field) for field in fields]


def _unescaped(escape: re.Match[str]) -> str:
    return _ESCAPED.get(escape.group(1), escape.group(1))
