"""This project's release of three tables, as a job runs it: load_release.py with its manifest."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import BenchError
from jobs.flows.load.job import new_load_id
from jobs.load_release import main

if TYPE_CHECKING:
    from bench.ways.task import Task


def run(task: Task) -> dict[str, float]:
    """Load, and return the seconds of the phases.

    Raises:
        BenchError: The release failed. Its error is in the log.
    """
    server = task.server
    with tempfile.TemporaryDirectory() as folder:
        manifest, report = Path(folder, "release.json"), Path(folder, "report.json")
        tables = [{"table": table, "source": source} for table, source in task.three.items()]
        manifest.write_text(json.dumps({"tables": tables}))
        flags = ["--manifest", str(manifest), "--parallelism", str(task.connections), "--report", str(report)]
        flags += ["--host", server.host, "--port", str(server.port), "--user", server.user, "--dbname", server.dbname]
        status = main([*flags, "--load-id", new_load_id(), *task.flags], os.environ)
        if status:
            raise BenchError(f"load_release.py ended with status {status}")
        seconds: dict[str, float] = json.loads(report.read_text())["seconds"]
    return {name: value for name, value in seconds.items() if name != "total"}
