r"""COPY's text format: the representation of NULL, and the escapes, for dumping and for loading.

Spark's expressions and PyArrow's functions replace substrings in different ways, so the replacement is a parameter.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pyspark.sql import Column
from pyspark.sql import functions as f

Texts = TypeVar("Texts")
Replace = Callable[[Texts, str, str], Texts]
"""Replaces each occurrence of a substring by another one, in all texts."""

NULL = "\\N"

# Each character and its escape. The backslash comes first, so that the backslashes of other escapes are not escaped
# again.
COPY_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

# The same within the double quotes of an array: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
ARRAY_ESCAPES = (("\\", "\\\\"), ('"', '\\"'))

# COPY TO also escapes these.
_LOADED_ESCAPES = (*COPY_ESCAPES[1:], ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v"))

_BACKSLASH = "\0"
"""Stands for a backslash while the other escapes are resolved. PostgreSQL's text never contains it."""


def dump(texts: Texts, replace: Replace[Texts], escapes: Sequence[tuple[str, str]]) -> Texts:
    """Escape each character, in values to send."""
    for character, escape in escapes:
        texts = replace(texts, character, escape)
    return texts


def load(texts: Texts, replace: Replace[Texts]) -> Texts:
    """Resolve each escape, in values that were received."""
    texts = replace(texts, "\\\\", _BACKSLASH)
    for character, escape in _LOADED_ESCAPES:
        texts = replace(texts, escape, character)
    return replace(texts, _BACKSLASH, "\\")


def replace_by_spark(texts: Column, old: str, new: str) -> Column:
    """Replace by Spark's `Replace`. PyArrow's function is `replace_substring`."""
    return f.replace(texts, f.lit(old), f.lit(new))
