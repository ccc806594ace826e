"""PySpark's daemon with the modules that its workers need. Otherwise each worker would import them again.

https://spark.apache.org/docs/latest/configuration.html: spark.python.daemon.module
"""

from __future__ import annotations

import contextlib

import pyarrow as pa  # noqa: F401 - for the workers
from pyspark import daemon

import jobs.spark.tasks.extract_tasks
import jobs.spark.tasks.load_tasks

with contextlib.suppress(ImportError):  # Spark 3.5 has no Python data sources
    import jobs.pgcopy.datasource  # noqa: F401 - for the workers

if __name__ == "__main__":
    daemon.manager()  # type: ignore[no-untyped-call] # PySpark has no type for it
