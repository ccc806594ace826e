"""PySpark's daemon, which has imported what its workers will want: each of them would else import it anew.

https://spark.apache.org/docs/latest/configuration.html: spark.python.daemon.module
"""

from __future__ import annotations

import contextlib
from importlib import import_module

import pyarrow as pa  # noqa: F401 - for the workers
from pyspark import daemon

import jobs.spark.comparing
import jobs.spark.tasks.extract_tasks
import jobs.spark.tasks.load_tasks

import_module("pandas")  # by its name, for it carries no types
with contextlib.suppress(ImportError):  # Spark 3.5 has no data sources in Python
    import jobs.pgcopy.datasource
    import jobs.pgcopy.reader
    import jobs.pgcopy.stream_reader
    import jobs.pgcopy.stream_writer
    import jobs.pgcopy.writer  # noqa: F401 - for the workers

if __name__ == "__main__":
    daemon.manager()  # type: ignore[no-untyped-call] # PySpark says nothing of it
