"""This project, as a job runs it: load_table.py with its flags."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from jobs import load_table
from jobs.flows.load.job import new_load_id

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases. Raises as `load_file`."""
    return load_file(task, task.parquet, task.table)


def load_file(task: Task, source: str, table: str) -> dict[str, float]:
    """Load a file into a table, and return the seconds of the phases.

    Raises:
        BenchError: The load failed. Its error is in the log.
    """
    server = task.server
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        flags = ["--source", source, "--table", table, "--parallelism", str(task.connections)]
        flags += ["--host", server.host, "--port", str(server.port), "--user", server.user, "--dbname", server.dbname]
        status = load_table.main([*flags, "--load-id", new_load_id(), "--report", str(report), *task.flags], os.environ)
        if status:
            raise BenchError(f"load_table.py ended with status {status}")
        seconds: dict[str, float] = json.loads(report.read_text())["seconds"]
    return {name: value for name, value in seconds.items() if name != "total"}
