"""ADBC: Arrow batches, encoded as binary COPY in C++, without Spark."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
from adbc_driver_postgresql import dbapi
from pyarrow.parquet import ParquetFile

from bench.tpch.names import CONNECTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load, with each connection copying its share of the file's row groups. It reports no phases."""
    groups = range(ParquetFile(task.parquet).num_row_groups)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for _ in pool.map(partial(_copy, task), [groups[first::CONNECTIONS] for first in range(CONNECTIONS)]):
            pass
    return {}


def _copy(task: Task, groups: Sequence[int]) -> None:
    server = task.server
    file = ParquetFile(task.parquet)
    batches = pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches(row_groups=list(groups)))
    with dbapi.connect(f"postgresql://{server.user}@{server.host}:{server.port}/{server.dbname}") as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest(task.table, batches, mode="append")
        connection.commit()
