"""Checks that strings are UTF-8, or makes them so: Spark's may contain any bytes, and conversions put U+FFFD there."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as f

REPLACEMENT = "\ufffd"
"""What decoders put in place of bytes that are not UTF-8."""


def is_utf8(text: Column) -> Column:
    """Return whether the bytes of a string are UTF-8; NULL for NULL."""
    if hasattr(f, "is_valid_utf8"):  # in Spark 4, decode fails on such bytes
        return f.is_valid_utf8(text)
    octets = text.cast("binary")
    return f.decode(octets, "UTF-8").cast("binary") == octets


def undecoded(text: Column, value: Column) -> Column:
    """Return the text of a nested value; if bytes were replaced in it, return the value's own bytes.

    The server rejects those. A text without U+FFFD had nothing replaced, so few values are examined twice. (A value
    with binary and with a U+FFFD of its own is rejected, too.)
    """
    octets = value.cast("string")
    return f.when(text.contains(REPLACEMENT) & ~is_utf8(octets), octets).otherwise(text)


def made_utf8(text: Column) -> Column:
    """Return a string with U+FFFD in place of bytes that are not UTF-8; NULL for NULL."""
    if hasattr(f, "make_valid_utf8"):  # in Spark 4, decode fails on such bytes
        return f.make_valid_utf8(text)
    return f.decode(text.cast("binary"), "UTF-8")


def made_utf8_by_sql(text: str) -> str:
    """Return the SQL text of the same."""
    if hasattr(f, "make_valid_utf8"):
        return f"make_valid_utf8({text})"
    return f"decode(CAST({text} AS BINARY), 'UTF-8')"
