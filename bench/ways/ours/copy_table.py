"""This project's copy of a table by COPY, without Spark: the rows that the server keeps stand for another one's."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from bench.tpch.names import KEPT_TABLE, WARM_UP_TABLE
from jobs.copy_table import main
from jobs.flows.load.job import new_load_id

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Copy, and return the seconds of the phases.

    Raises:
        BenchError: The copy failed. Its error is in the log.
    """
    server = task.server
    source = f"postgresql://{server.user}@{server.host}:{server.port}/{server.dbname}"
    flags = ["--source-url", source, "--source-table", KEPT_TABLE, "--table", task.table]
    flags += ["--host", server.host, "--port", str(server.port), "--user", server.user, "--dbname", server.dbname]
    flags += ["--parallelism", str(task.connections), "--load-id", new_load_id()]
    if task.table == WARM_UP_TABLE:
        flags += ["--filter", "ctid < '(20,0)'"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        status = main([*flags, "--report", str(report)], os.environ)
        if status:
            raise BenchError(f"copy_table.py ended with status {status}")
        seconds: dict[str, float] = json.loads(report.read_text())["seconds"]
    return {name: value for name, value in seconds.items() if name != "total"}
