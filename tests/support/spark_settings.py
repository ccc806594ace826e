"""Settings of the Spark session that all tests of a process share."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from pyspark.sql import SparkSession


@contextmanager
def spark_settings(spark: SparkSession, settings: Mapping[str, str]) -> Iterator[None]:
    """These settings apply meanwhile. One that nobody had set is not set afterwards, either."""
    before = {name: spark.conf.get(name, None) for name in settings}
    for name, value in settings.items():
        spark.conf.set(name, value)
    try:
        yield
    finally:
        for name, old in before.items():
            if old is None:
                spark.conf.unset(name)
            else:
                spark.conf.set(name, old)


def settings_that_are_set(spark: SparkSession) -> dict[str, str]:
    """Return Spark SQL's settings that somebody has set, by name."""
    # PySpark 3.5 has no public way to all settings.
    lines = str(spark._jsparkSession.conf().getAll().mkString("\n")).split("\n")  # noqa: SLF001 - see above
    stated = dict(line.partition(" -> ")[::2] for line in lines)
    return {name: text for name, text in stated.items() if name.startswith("spark.sql.") and not _ICEBERGS.match(name)}


_ICEBERGS = re.compile(r"spark\.sql\.catalog\.default_(cache_)?iceberg\b")
"""Catalogs that Iceberg sets itself, when it first reads a table."""
