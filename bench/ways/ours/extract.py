"""This project's extract: one snapshot, parts by blocks."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession

from bench.tpch.names import CONNECTIONS
from bench.ways.reading import drain
from jobs.dbaccess.connector import Connector
from jobs.dbaccess.conninfo.resolve import resolve
from jobs.dbaccess.conninfo.sources import Given
from jobs.dbaccess.sql import TableName
from jobs.flows.extract.dataframe import extracting
from jobs.flows.extract.plan import Wanted

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Read. It reports no phases."""
    server = {name: str(value) for name, value in asdict(task.server).items()}
    settings = resolve(Given(server), {}).settings
    wanted = Wanted(TableName.parse(task.table), parallelism=CONNECTIONS)
    spark = SparkSession.builder.getOrCreate()
    connector = Connector(settings, "bench", task.table)
    with connector.open() as held, extracting(spark, held, connector, wanted, task.arrow) as extraction:
        drain(extraction.df, task)
    return {}
