"""This project's comparison of the table with the files that it was loaded from, one cell of it changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.errors import BenchError
from bench.tpch.names import CONNECTIONS
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.postgres_connectivity import connect, connect_pinned
from jobs.dbaccess.sql import TableName
from jobs.flows.compare import CompareJob, compared

if TYPE_CHECKING:
    from bench.ways.task import Task
    from jobs.dbaccess.session import Session

KEYS = ("l_orderkey", "l_linenumber")


def run(task: Task) -> dict[str, float]:
    """Change a cell, find it by its key, and change it back; there are no phases.

    Raises:
        BenchError: another number of keys was found.
    """
    settings = resolve(Given({name: str(value) for name, value in asdict(task.server).items()}), {}).settings
    spark = SparkSession.builder.getOrCreate()
    job = CompareJob(TableName.parse(task.table), settings, KEYS, parallelism=CONNECTIONS)
    with connect(settings, "pgjobs bench") as session:
        changed = _change(
            session, job.table, f"l_partkey + 1 WHERE ctid = (SELECT ctid FROM {job.table.quoted} LIMIT 1)"
        )
        source = spark.read.parquet(task.parquet)
        with connect_pinned(settings, "pgjobs bench") as holder, compared(source, holder, job) as comparison:
            found = comparison.differences.collect()
        _change(session, job.table, f"l_partkey - 1 WHERE ctid = '{changed}'")
    if len(found) != 1:
        raise BenchError(f"{len(found)} keys were found, and one cell was changed")
    return {}


def _change(session: Session, table: TableName, how: str) -> str:
    """Change one row; where it lies then."""
    [[place]] = session.run(f"UPDATE {table.quoted} SET l_partkey = {how} RETURNING ctid::text")
    return str(place)
