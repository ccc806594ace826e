"""What Python workers have installed."""

from __future__ import annotations

from importlib.util import find_spec

from pyspark.sql import SparkSession


def workers_have_arrow(spark: SparkSession) -> bool:
    """Return whether PyArrow is available, on the driver (Spark's mapInArrow also needs pandas) and on a worker."""
    return _has_arrow() and bool(spark.sparkContext.parallelize([0], 1).map(lambda _: _has_arrow()).first())


def _has_arrow() -> bool:
    return find_spec("pyarrow") is not None and find_spec("pandas") is not None
