r"""COPY's text format as far as it is text: the word for NULL, and the escapes, dumped and loaded side by side.

Spark's expressions and PyArrow's functions replace substrings each in their own way, so that is a parameter here.
https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pyspark.sql import Column
from pyspark.sql import functions as f

Texts = TypeVar("Texts")
Replace = Callable[[Texts, str, str], Texts]
"""In all texts, replaces each occurrence of a substring by another one."""

NULL = "\\N"

# A character, and how it is written. The backslash is first, so that the escapes' own are not escaped again.
COPY_ESCAPES = (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"))

# The same within an array's double quotes: https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO
ARRAY_ESCAPES = (("\\", "\\\\"), ('"', '\\"'))

# COPY TO escapes these, too.
_LOADED_ESCAPES = (*COPY_ESCAPES[1:], ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v"))

_BACKSLASH = "\0"
"""Stands for a backslash while the other escapes are resolved. PostgreSQL's text never holds it."""


def dump(texts: Texts, replace: Replace[Texts], escapes: Sequence[tuple[str, str]]) -> Texts:
    """Escape each character: values as they are sent."""
    for character, escape in escapes:
        texts = replace(texts, character, escape)
    return texts


def load(texts: Texts, replace: Replace[Texts]) -> Texts:
    """Resolve each escape: values from what was received."""
    texts = replace(texts, "\\\\", _BACKSLASH)
    for character, escape in _LOADED_ESCAPES:
        texts = replace(texts, escape, character)
    return replace(texts, _BACKSLASH, "\\")


def replace_by_spark(texts: Column, old: str, new: str) -> Column:
    """Spark's `Replace`; PyArrow's is `replace_substring`."""
    return f.replace(texts, f.lit(old), f.lit(new))
