"""dlt: Arrow batches, which its destination for PostgreSQL copies as CSV; its fastest configuration. Without Spark."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import dlt
from pyarrow.parquet import ParquetFile

from bench.tpch.files import without_views
from bench.tpch.names import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from bench.ways.task import Task

IGNORED = "ignored"  # the server asks for none, but dlt does
ROWS_PER_FILE = 500_000  # so that each worker has files to load


def run(task: Task) -> dict[str, float]:
    """Load; dlt creates the table, and tables of its own beside it. Return the seconds of its steps."""
    os.environ.update(
        RUNTIME__DLTHUB_TELEMETRY="false",
        RUNTIME__LOG_LEVEL="ERROR",
        LOAD__WORKERS=str(CONNECTIONS),
        DATA_WRITER__FILE_MAX_ITEMS=str(ROWS_PER_FILE),
    )
    server = task.server
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            f"bench_{task.table}",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(
                f"postgresql://{server.user}:{IGNORED}@{server.host}:{server.port}/{server.dbname}"
            ),
            dataset_name="public",
        )
        pipeline.run(
            _batches(task), table_name=task.table, write_disposition="append", loader_file_format="csv"
        ).raise_on_failed_jobs()
        steps = pipeline.last_trace.steps
    return {one.step: (one.finished_at - one.started_at).total_seconds() for one in steps if one.step != "run"}


def _batches(task: Task) -> Iterator[pa.RecordBatch]:
    file = ParquetFile(task.parquet)
    schema = without_views(file.schema_arrow)
    for batch in file.iter_batches():
        yield batch.cast(schema)
