"""The error that ends a benchmark."""

from __future__ import annotations


class BenchError(Exception):
    """A way could not be measured, or loaded something other than the data."""
