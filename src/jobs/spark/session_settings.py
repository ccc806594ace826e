"""Settings of a Spark session that apply for a while."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pyspark.sql import SparkSession

_TURNS = threading.RLock()
"""Loads that run at once in one session take turns: each puts back what it found."""


@contextmanager
def setting(spark: SparkSession, name: str, value: str) -> Iterator[str | None]:
    """Set a setting of the session for a while. Yields its value before, or None."""
    with _TURNS:
        before = spark.conf.get(name, None)
        spark.conf.set(name, value)
        try:
            yield before
        finally:
            if before is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, before)
