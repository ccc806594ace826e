"""Escapes the values of COPY's text format, and resolves the escapes: dumping and loading.

Spark's expressions, SQL text and PyArrow's functions replace substrings in different ways, so the replacement is a
parameter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pyspark.sql import Column
from pyspark.sql import functions as f

from jobs.dbaccess.copy_text import OUTPUT_ESCAPES

Texts = TypeVar("Texts")
Replace = Callable[[Texts, str, str], Texts]
"""Replaces each occurrence of a substring by another one, in all texts."""

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
    for character, escape in OUTPUT_ESCAPES[1:]:
        texts = replace(texts, escape, character)
    return replace(texts, _BACKSLASH, "\\")


def replace_by_spark(texts: Column, old: str, new: str) -> Column:
    """Replace by Spark's `Replace`. PyArrow's function is `replace_substring`."""
    return f.replace(texts, f.lit(old), f.lit(new))


def replace_by_sql(texts: str, old: str, new: str) -> str:
    """Return the SQL text of the same replacement."""
    return f"replace({texts}, {sql_literal(old)}, {sql_literal(new)})"


def sql_literal(text: str) -> str:
    """Return a literal of Spark's SQL. It is written as bytes, because settings decide what a backslash means."""
    return f"CAST(X'{text.encode().hex()}' AS STRING)"
