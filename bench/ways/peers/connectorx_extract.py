"""ConnectorX: reads into Arrow, by Rust, without Spark. Each of its connections sees another snapshot of the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import connectorx
from pyarrow.parquet import ParquetFile

from bench.errors import BenchError
from bench.tpch.names import CONNECTIONS

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Read. It reports no phases.

    Raises:
        BenchError: The number of rows is not that of the data.
    """
    server = task.server
    table = connectorx.read_sql(
        f"postgresql://{server.user}:@{server.host}:{server.port}/{server.dbname}",
        f"SELECT * FROM {task.table}",
        return_type="arrow",
        partition_on="l_orderkey",
        partition_num=CONNECTIONS,
    )
    wanted = ParquetFile(task.parquet).metadata.num_rows
    if table.num_rows != wanted:
        raise BenchError(f"{table.num_rows} rows were read, and not {wanted}")
    return {}
