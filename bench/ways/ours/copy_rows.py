"""This project without Spark: rows of Python values, over one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyarrow.parquet import ParquetFile

from bench.machine import database
from jobs.dbaccess.rows.copy import copy_rows

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load. It reports no phases."""
    file = ParquetFile(task.parquet)
    with database.session(task.server) as session:
        copy_rows(session, task.table, file.schema_arrow.names, _rows(file))
    return {}


def _rows(file: ParquetFile) -> Iterator[tuple[object, ...]]:
    for batch in file.iter_batches():
        yield from zip(*(column.to_pylist() for column in batch.columns))
