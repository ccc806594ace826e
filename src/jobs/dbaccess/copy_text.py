"""COPY's text format: the representation of NULL, and the escapes.

https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

NULL = "\\N"

# Each character and its escape. The backslash comes first, so that the backslashes of other escapes are not escaped
# again.
COPY_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

# COPY TO also escapes these.
OUTPUT_ESCAPES = (*COPY_ESCAPES, ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v"))

# The same within the double quotes of an array: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
ARRAY_ESCAPES = (("\\", "\\\\"), ('"', '\\"'))
