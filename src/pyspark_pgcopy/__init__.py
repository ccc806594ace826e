"""Where Spark finds `pgcopy` by itself: it looks for DefaultSource in each module named pyspark_*.

https://github.com/apache/spark/blob/master/python/pyspark/sql/worker/lookup_data_sources.py
"""

from __future__ import annotations

from jobs.pgcopy.datasource import PostgresCopyDataSource as DefaultSource

__all__ = ["DefaultSource"]
