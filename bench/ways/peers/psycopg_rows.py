"""What people write themselves: foreachPartition, with psycopg's COPY taking row after row."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

import psycopg
from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyspark.sql import Row

    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load. It reports no phases."""
    SparkSession.builder.getOrCreate().read.parquet(task.parquet).foreachPartition(partial(_copy, task))
    return {}


def _copy(task: Task, rows: Iterable[Row]) -> None:
    copying = f"COPY {task.table} FROM STDIN"
    with psycopg.connect(**asdict(task.server)) as connection, connection.cursor().copy(copying) as copy:
        for row in rows:
            copy.write_row(row)
