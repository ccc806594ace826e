"""Whether a string's bytes are UTF-8: Spark's strings may hold any, and what makes text of them puts U+FFFD there."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as f

REPLACEMENT = "\ufffd"
"""What decoders put in place of bytes that are not UTF-8."""


def is_utf8(text: Column) -> Column:
    """Whether the bytes of a string are UTF-8; NULL for NULL."""
    if hasattr(f, "is_valid_utf8"):  # Spark 4, whose decode fails of such bytes
        return f.is_valid_utf8(text)
    octets = text.cast("binary")
    return f.decode(octets, "UTF-8").cast("binary") == octets


def undecoded(text: Column, value: Column) -> Column:
    """The text that was made of a nested value; where bytes were replaced in it, the value's own bytes.

    The server refuses those. What holds no U+FFFD had nothing replaced, so that hardly any value is looked at twice.
    (Binary in a value that also holds a U+FFFD of its own counts as bytes of a string, and is refused, too.)
    """
    own = value.cast("string")
    return f.when(text.contains(REPLACEMENT) & ~is_utf8(own), own).otherwise(text)
